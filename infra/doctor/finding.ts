/** What the doctor says: one line for each thing that was looked at. */
import { ConfigError } from '@rastro/runtime';

export interface Finding {
  /** What was looked at, e.g. `access token`. */
  readonly check: string;
  /** Of whom, e.g. `pool promo`. */
  readonly subject: string;
  /** `warning`: worth knowing, but nothing stands still because of it. */
  readonly status: 'ok' | 'warning' | 'failed';
  /** For people; neither secrets nor anything of a customer. */
  readonly detail: string;
  /** The command, or the line of the catalog file, that mends it. */
  readonly mend: string | null;
}

type About = Pick<Finding, 'check' | 'subject'>;

export const ok = (about: About, detail: string): Finding => ({
  ...about,
  status: 'ok',
  detail,
  mend: null,
});

export const warning = (about: About, detail: string, mend: string | null): Finding => ({
  ...about,
  status: 'warning',
  detail,
  mend,
});

export const failed = (about: About, detail: string, mend: string): Finding => ({
  ...about,
  status: 'failed',
  detail,
  mend,
});

/** @param line as it is to stand in the file, with the way to it. */
export const inCatalog = (line: string): string =>
  `in the catalog file: ${line}; then pnpm rastro catalog apply FILE`;

/** Both ways to run the house. */
export const startAgain = (service: string): string =>
  `npm start, or docker compose up -d ${service}; its log says why it is away`;

export const patienceMs = 5_000;

/**
 * Nothing that is asked may hold up the rest.
 * @throws the question's own error, or one that says that there was no answer.
 */
export async function inTime<T>(asked: Promise<T>, ms = patienceMs): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`no answer within ${ms} ms`)), ms);
  try {
    return await Promise.race([asked, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

interface SystemError {
  readonly code?: string;
  readonly message?: string;
  readonly cause?: unknown;
}

/** The few words of an error that say what to look for. */
export function wordsOf(error: unknown): string {
  if (error instanceof ConfigError) return error.problems.join('; ');
  const { code, message, cause } = error as SystemError;
  if (message) return message.replaceAll(/\s+/g, ' ').slice(0, 300);
  return code ?? (cause === undefined ? 'unknown error' : wordsOf(cause));
}
