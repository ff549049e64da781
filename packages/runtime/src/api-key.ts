import { Problem } from './problem.ts';
import { isSameSecret } from './secrets.ts';

interface Asking {
  readonly headers: { readonly authorization?: string | undefined };
}

interface Answering {
  header(name: string, value: string): unknown;
}

/**
 * An `onRequest` hook that lets through who sends `Authorization: Bearer <RASTRO_API_KEY>`. It runs
 * before validation, so a stranger learns nothing, not even what is asked for here.
 */
export function requireApiKey(apiKey: string): (asking: Asking, reply: Answering) => Promise<void> {
  return async ({ headers }, reply) => {
    const [, given] = /^Bearer +(\S+) *$/i.exec(headers.authorization ?? '') ?? [];
    if (given !== undefined && isSameSecret(given, apiKey)) return;
    reply.header('www-authenticate', 'Bearer');
    throw new Problem(401, 'Unauthorized', 'Send RASTRO_API_KEY as "Authorization: Bearer <key>".');
  };
}
