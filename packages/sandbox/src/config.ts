/** The sandbox's environment, when it runs as a process of its own. */
import { readFileSync } from 'node:fs';
import { cleanEnv, host, makeValidator, str, url } from 'envalid';
import type { GraphLog } from './graph/store.ts';
import { parseWorld, type SandboxWorld } from './world.ts';

export interface SandboxConfig {
  host: string;
  port: number;
  publicOrigin: string;
  world: SandboxWorld;
  journalFile: string | undefined;
  graphLog: GraphLog;
}

export class ConfigError extends Error {
  readonly code = 'SANDBOX_CONFIG_INVALID';
}

/** 0 asks the system for a free port. */
const listenPort = makeValidator<number>((text) => {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 0 && number <= 65_535) return number;
  throw new TypeError(`must be a port such as 9300, or 0 for any free one; it is "${text}"`);
});

/** @throws ConfigError naming each wrong variable with an example */
export function readConfig(environment: NodeJS.ProcessEnv): SandboxConfig {
  const read = cleanEnv(
    environment,
    {
      HOST: host({ default: '127.0.0.1', example: '127.0.0.1' }),
      PORT: listenPort({ default: 9300, example: '9300' }),
      PUBLIC_ORIGIN: url({ default: 'http://localhost:8080', example: 'http://localhost:8080' }),
      SANDBOX_WORLD_FILE: str({ default: '', example: 'world.json' }),
      SANDBOX_JOURNAL_FILE: str({ default: '', example: '.data/sandbox.ndjson' }),
      SANDBOX_GRAPH_LOG: str({ choices: ['short', 'full'], default: 'short', example: 'full' }),
    },
    {
      reporter: ({ errors }) => {
        const wrong = Object.entries(errors).map(([name, error]) => `${name}: ${error?.message}`);
        if (wrong.length > 0) throw new ConfigError(wrong.join('\n'));
      },
    },
  );
  return {
    host: read.HOST,
    port: read.PORT,
    publicOrigin: read.PUBLIC_ORIGIN,
    world: readWorld(read.SANDBOX_WORLD_FILE),
    graphLog: read.SANDBOX_GRAPH_LOG,
    journalFile: read.SANDBOX_JOURNAL_FILE === '' ? undefined : read.SANDBOX_JOURNAL_FILE,
  };
}

/** Without a file the world is empty until `PUT /control/world` fills it. */
function readWorld(file: string): SandboxWorld {
  if (file === '') return { bots: [], pixels: [], pixAccounts: [] };
  try {
    return parseWorld(JSON.parse(readFileSync(file, 'utf8')));
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    throw new ConfigError(`SANDBOX_WORLD_FILE: ${file} cannot be used: ${detail}`);
  }
}
