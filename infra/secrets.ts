/** Keys that nobody has given yet: made once, kept in the data folder, readable by its owner only. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Environment } from '@rastro/runtime';

export interface HouseSecrets {
  /** 32 bytes in base64, as `RASTRO_MASTER_KEY` wants it. */
  readonly masterKey: string;
  readonly apiKey: string;
}

/** The environment's keys, else those of the data folder, else new ones. */
export function houseSecrets(dataDir: string, environment: Environment): HouseSecrets {
  const file = join(dataDir, 'secrets.json');
  const { RASTRO_MASTER_KEY: masterKey, RASTRO_API_KEY: apiKey } = environment;
  if (masterKey && apiKey) return { masterKey, apiKey };
  const kept = readKept(file) ?? keep(file, newSecrets());
  return { masterKey: masterKey || kept.masterKey, apiKey: apiKey || kept.apiKey };
}

export function newSecrets(): HouseSecrets {
  return { masterKey: randomBytes(32).toString('base64'), apiKey: randomBytes(24).toString('hex') };
}

function readKept(file: string): HouseSecrets | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as HouseSecrets;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function keep(file: string, secrets: HouseSecrets): HouseSecrets {
  mkdirSync(join(file, '..'), { recursive: true });
  // `wx`: of two that start at once, one writes and the other one reads.
  writeFileSync(file, `${JSON.stringify(secrets, null, 2)}\n`, { mode: 0o600, flag: 'wx' });
  return secrets;
}
