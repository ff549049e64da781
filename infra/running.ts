/** Where the house that runs in this data folder can be reached: for the command line to find. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Running {
  readonly publicOrigin: string;
  readonly consoleUrl: string;
  readonly natsUrl: string;
  /** Address with the right to migrate. */
  readonly postgresUrl: string;
  readonly redisUrl: string;
  readonly sandboxUrl: string | null;
  readonly pid: number;
}

const fileIn = (dataDir: string): string => join(dataDir, 'running.json');

/** Disposing of it says that the house is gone. */
export function announceRunning(dataDir: string, running: Running): Disposable {
  writeFileSync(fileIn(dataDir), `${JSON.stringify(running, null, 2)}\n`, { mode: 0o600 });
  return { [Symbol.dispose]: () => rmSync(fileIn(dataDir), { force: true }) };
}

/** Undefined when nothing runs there, also when a crash left its file behind. */
export function findRunning(dataDir: string): Running | undefined {
  try {
    const running = JSON.parse(readFileSync(fileIn(dataDir), 'utf8')) as Running;
    process.kill(running.pid, 0);
    return running;
  } catch {
    return undefined;
  }
}
