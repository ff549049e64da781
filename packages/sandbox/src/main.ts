import { ConfigError, readConfig, type SandboxConfig } from './config.ts';
import { startSandbox } from './server.ts';

/* oxlint-disable-next-line node/no-process-env -- the one place that hands the environment on */
await main(process.env);

/** Runs until a signal, and ends when there is nothing left to do: see decision 030. */
async function main(environment: NodeJS.ProcessEnv): Promise<void> {
  try {
    await run(readConfig(environment));
  } catch (error) {
    console.error(problemIn(error));
    process.exitCode = 2;
  }
}

async function run({ journalFile, ...options }: SandboxConfig): Promise<void> {
  const sandbox = await startSandbox({
    ...options,
    ...(journalFile === undefined ? {} : { journalFile }),
  });
  console.log(`The sandbox is at ${sandbox.url}`);
  const stop = (): void => void sandbox[Symbol.asyncDispose]();
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
}

function problemIn(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (error instanceof ConfigError) return message;
  const hint = code === 'EADDRINUSE' ? ' Set PORT to a free one.' : '';
  return `The sandbox cannot start: ${message}.${hint}`;
}
