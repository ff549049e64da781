import { ConfigError, readConfig } from './config.ts';
import { startSandbox } from './server.ts';

/* oxlint-disable-next-line node/no-process-env -- the one place that hands the environment on */
const config = readConfigOrExit(process.env);
const { journalFile, ...options } = config;
const sandbox = await startSandbox({
  ...options,
  ...(journalFile === undefined ? {} : { journalFile }),
}).catch((error: NodeJS.ErrnoException) => {
  const hint = error.code === 'EADDRINUSE' ? ' Set PORT to a free one.' : '';
  console.error(`The sandbox cannot start: ${error.message}.${hint}`);
  process.exit(2);
});
console.log(`The sandbox is at ${sandbox.url}`);

const stop = () => {
  void sandbox[Symbol.asyncDispose]().then(() => process.exit(0));
};
process.once('SIGINT', stop);
process.once('SIGTERM', stop);

function readConfigOrExit(environment: NodeJS.ProcessEnv) {
  try {
    return readConfig(environment);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    console.error(error.message);
    process.exit(2);
  }
}
