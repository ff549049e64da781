/** Runs the constellation for a person at a terminal: says what happens and where to click. */
import {
  ConfigError,
  createLogger,
  endProcess,
  type Environment,
  nextSignal,
} from '@rastro/runtime';
import { type HouseConfig, readHouseConfig } from './config.ts';
import { type House, startHouse } from './house.ts';
import { progressOn } from './progress.ts';
import { findRunning } from './running.ts';

/** Exit codes: 0 stopped by a signal, 1 failed, 2 wrong configuration. */
export async function runHouse(
  mode: 'one-process' | 'processes',
  environment: Environment,
): Promise<void> {
  const config = readConfig(environment);
  if (config === null) return endProcess(2);
  const log = createLogger({ level: config.logLevel, isPretty: process.stdout.isTTY });
  const progress = progressOn(process.stdout);
  const running = findRunning(config.dataDir);
  if (running) {
    progress.say(
      `Rastro already runs with this data folder: ${running.publicOrigin} (pid ${running.pid}).`,
    );
    return endProcess(1);
  }
  for (const name of ['uncaughtException', 'unhandledRejection'] as const) {
    process.on(name, (error) => {
      log.fatal({ err: error }, 'stopping after an error that nothing handles');
      process.exit(1);
    });
  }
  const signal = nextSignal();
  progress.say('Starting Rastro');
  try {
    await using house = await startHouse({ config, mode, log, progress });
    progress.say(whereToClick(house));
    await signal;
    progress.say('Stopping');
  } catch (error) {
    progress.say(`\nRastro could not start: ${(error as Error).message}`);
    log.debug({ err: error }, 'start failed');
    return endProcess(1);
  }
  progress.say('Stopped. Everything is kept for the next start.');
  endProcess(0);
}

/** Null when it is wrong, which has been said then. */
function readConfig(environment: Environment): HouseConfig | null {
  try {
    return readHouseConfig(environment);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return null;
  }
}

function whereToClick({ publicOrigin, sandboxUrl }: House): string {
  const lines = sandboxUrl
    ? [
        'Rastro is ready. Walk the whole trail, with no account anywhere:',
        `  start here       ${sandboxUrl}/`,
        `  the ad's link    ${publicOrigin}/go/promo?utm_source=FB`,
        `  Events Manager   ${sandboxUrl}/events-manager`,
      ]
    : [
        'Rastro is ready.',
        `  public origin    ${publicOrigin}`,
        '  set it up with   pnpm rastro catalog apply FILE',
      ];
  return ['', ...lines, '', 'Ctrl-C stops everything that was started here.', ''].join('\n');
}
