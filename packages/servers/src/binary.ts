import { execFileSync } from 'node:child_process';
import { accessSync, constants, readdirSync, statSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { ServerError } from './error.ts';

const setupFolder = resolve(import.meta.dirname, '../../../.tools/bin');
const debianPostgresFolder = '/usr/lib/postgresql';

/** The program of that name: the set-up's own, else from PATH, else where Debian keeps
 * PostgreSQL. Throws SERVER_BINARY_MISSING. */
export function findBinary(name: string): string {
  const found = findOptionalBinary(name);
  if (found !== undefined) return found;
  throw new ServerError(
    'SERVER_BINARY_MISSING',
    `${name} was not found in .tools/bin, PATH or ${debianPostgresFolder}. ` +
      '`sh infra/setup.sh true` fetches it, or names the package to install.',
  );
}

export function findOptionalBinary(name: string): string | undefined {
  const folders = [setupFolder, ...searchPath(), ...debianPostgresFolders()];
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

/** What a server gets of our environment: enough to load its libraries, and none of the
 * variables (PGPORT, PGDATA, ...) that would change what it does. */
export function serverEnvironment(): NodeJS.ProcessEnv {
  const { PATH, LD_LIBRARY_PATH } = process.env;
  return { PATH, LD_LIBRARY_PATH, LC_ALL: 'C.UTF-8', TZ: 'UTC' };
}

/** The first number with dots that `program --version` prints, as [major, minor]. */
export function versionOf(program: string): [number, number] {
  const output = execFileSync(program, ['--version'], { encoding: 'utf8', timeout: 10_000 });
  const match = /(\d+)\.(\d+)/.exec(output);
  return [Number(match?.[1] ?? 0), Number(match?.[2] ?? 0)];
}

function searchPath(): string[] {
  return (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
}

function debianPostgresFolders(): string[] {
  try {
    return readdirSync(debianPostgresFolder)
      .sort((a, b) => Number(b) - Number(a))
      .map((major) => join(debianPostgresFolder, major, 'bin'));
  } catch {
    return [];
  }
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
