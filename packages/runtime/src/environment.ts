/** Reads the environment once, at start, and reports every problem at once. */
import { isIP } from 'node:net';
import { cleanEnv, EnvError, EnvMissingError, makeValidator, type ValidatorSpec } from 'envalid';

export type Environment = Readonly<Record<string, string | undefined>>;

/** The environment is not fit to start with; `message` lists each variable on a line of its own. */
export class ConfigError extends Error {
  readonly code = 'CONFIG_INVALID';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(
      `The configuration has ${problems.length} problem(s):\n${problems.map((p) => `  - ${p}`).join('\n')}`,
    );
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

type Specs = Record<string, ValidatorSpec<unknown>>;
type Values<S extends Specs> = {
  readonly [K in keyof S]: S[K] extends ValidatorSpec<infer V> ? V : never;
};

/**
 * Checks the variables that `specs` names; an empty value counts as unset.
 * @throws {ConfigError} naming every wrong or missing variable with an example.
 */
export function readEnvironment<S extends Specs>(environment: Environment, specs: S): Values<S> {
  const given = Object.fromEntries(
    Object.entries(environment).filter(([, value]) => value !== undefined && value !== ''),
  );
  const problems: string[] = [];
  const values = cleanEnv(given, specs, {
    reporter: ({ errors }) => {
      for (const [name, error] of Object.entries(errors)) {
        if (error) problems.push(describe(name, error, specs[name]));
      }
    },
  });
  if (problems.length > 0) throw new ConfigError(problems);
  // envalid's accessor proxy throws for names outside of the specs; a plain copy does not.
  return { ...values } as unknown as Values<S>;
}

function describe(name: string, error: Error, spec: ValidatorSpec<unknown> | undefined): string {
  const what = spec?.desc ? ` (${spec.desc})` : '';
  const example = spec?.example ? `; for example ${name}=${spec.example}` : '';
  if (error instanceof EnvMissingError) return `${name}${what} is not set${example}`;
  const why = error instanceof EnvError ? error.message : 'cannot be read';
  return `${name}${what} is wrong: ${why}${example}`;
}

function parsed<T>(parse: (input: string) => T) {
  return makeValidator<T>((input: string) => {
    try {
      return parse(input);
    } catch (error) {
      throw new EnvError((error as Error).message);
    }
  });
}

/** An address with one of the given schemes; a trailing slash is dropped. Never echoes the value. */
export function address(...schemes: string[]) {
  return parsed((input) => addressOf(input, schemes));
}

function addressOf(input: string, schemes: readonly string[]): string {
  const isKnown = URL.canParse(input) && schemes.includes(new URL(input).protocol.slice(0, -1));
  if (!isKnown)
    throw new Error(
      `must be an address that begins with ${schemes.map((s) => `${s}://`).join(' or ')}`,
    );
  return input.replace(/\/+$/, '');
}

/**
 * An address to which paths are appended and which is shown to people, so it holds neither a
 * password nor a query.
 */
export function plainAddress(...schemes: string[]) {
  return parsed((input) => {
    const base = addressOf(input, schemes);
    const { username, password, search, hash } = new URL(base);
    if (username !== '' || password !== '')
      throw new Error('must hold no user and no password, for it is shown to people');
    if (search !== '' || hash !== '') throw new Error('must end before any "?" or "#"');
    return base;
  });
}

/** 32 bytes in base64, as `openssl rand -base64 32` prints them. */
export const masterKey = parsed((input) => {
  const bytes = Buffer.from(input, 'base64');
  if (bytes.length !== 32)
    throw new Error(`must be 32 bytes in base64, but is ${bytes.length} bytes`);
  return bytes;
});

/** A secret that is long enough not to be guessed. */
export const secret = parsed((input) => {
  if (input.length < 16) throw new Error('must have at least 16 characters');
  return input;
});

export const text = parsed((input) => input);

/** One of a few words. */
export function oneOf<const T extends string>(...words: T[]) {
  return parsed((input): T => {
    const found = words.find((word) => word === input);
    if (found === undefined) throw new Error(`must be one of ${words.join(', ')}`);
    return found;
  });
}

/** A whole number between two bounds, both included. */
export function wholeNumber(min: number, max: number) {
  return parsed((input) => {
    const value = Number(input);
    if (!/^\d+$/.test(input) || value < min || value > max) {
      throw new Error(`must be a whole number from ${min} to ${max}`);
    }
    return value;
  });
}

const proxyNames = ['loopback', 'linklocal', 'uniquelocal'];

/** Addresses, CIDR ranges or the names `loopback`, `linklocal`, `uniquelocal`, comma-separated. */
export const proxyList = parsed((input) => {
  const entries = input
    .split(',')
    .map((entry) => entry.trim())
    .filter(Boolean);
  for (const entry of entries) {
    if (!proxyNames.includes(entry) && !isRange(entry))
      throw new Error(
        `"${entry}" is neither an address, nor a range such as 10.0.0.0/8, nor one of ${proxyNames.join(', ')}`,
      );
  }
  return entries;
});

/** An address, alone or with the length of its prefix; /0 would believe everybody. */
function isRange(entry: string): boolean {
  const [, address = '', length] = /^([^/%]+)(?:\/(\d{1,3}))?$/.exec(entry) ?? [];
  const bits = { 0: 0, 4: 32, 6: 128 }[isIP(address)] ?? 0;
  const prefix = Number(length ?? bits);
  return prefix >= 1 && prefix <= bits;
}
