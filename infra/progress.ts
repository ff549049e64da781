/** What people see while they wait: one line a step, with how long it took. */

export interface Progress {
  /** A line as it is. */
  say(line: string): void;
  /** Runs a step and says how it went. */
  step<T>(name: string, run: () => Promise<T>): Promise<T>;
}

export function progressOn(stream: NodeJS.WritableStream): Progress {
  const say = (line: string): void => void stream.write(`${line}\n`);
  return {
    say,
    async step(name, run) {
      const since = performance.now();
      try {
        const result = await run();
        say(`  ✓ ${name} (${((performance.now() - since) / 1_000).toFixed(1)} s)`);
        return result;
      } catch (error) {
        say(`  ✗ ${name}`);
        throw error;
      }
    },
  };
}

/** For tests, which have their own way to say how it went. */
export const silentProgress: Progress = { say: () => {}, step: (_name, run) => run() };
