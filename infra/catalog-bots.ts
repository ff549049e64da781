/** Asks Telegram about the bots of a catalog file, while their tokens are in hand. */
import type { CatalogFile } from '@rastro/operator-console/catalog-file';
import { request } from 'undici';

/** What is wrong with a bot, and the field of the file that has to be mended. */
export interface BotProblem {
  readonly botId: string;
  readonly field: 'token' | 'username';
  readonly message: string;
}

export interface BotCheck {
  /** One line a bot, for people. */
  readonly lines: readonly string[];
  readonly problems: readonly BotProblem[];
}

type Answer =
  | { readonly type: 'known'; readonly username: string }
  | { readonly type: 'refused'; readonly reason: string }
  /** Says nothing about the token. */
  | { readonly type: 'unreachable'; readonly reason: string };

interface Bot {
  readonly id: string;
  readonly username: string;
  readonly token: string;
}

/**
 * Bots that keep their token to themselves are left out.
 * @param apiUrl base of the Bot API, as `TELEGRAM_API_URL` has it
 */
export async function checkBots(
  apiUrl: string,
  file: CatalogFile,
  botIds: ReadonlySet<string>,
): Promise<BotCheck> {
  const bots = file.drafts.flatMap(({ kind, data }): Bot[] => {
    if (kind !== 'bot' || data.token === undefined || !botIds.has(data.id)) return [];
    return [{ id: data.id, username: data.username, token: data.token }];
  });
  const checks = await Promise.all(
    bots.map(async (bot) => ({ bot, answer: await askTelegram(apiUrl, bot.token) })),
  );
  return {
    lines: checks.map(({ bot, answer }) => `${bot.id}: ${wordsOf(answer)}`),
    problems: checks.flatMap(({ bot, answer }) => problemOf(bot, answer) ?? []),
  };
}

function wordsOf(answer: Answer): string {
  switch (answer.type) {
    case 'known':
      return `@${answer.username}`;
    case 'refused':
      return `Telegram refuses this token (${answer.reason})`;
    case 'unreachable':
      return `not checked, Telegram did not answer (${answer.reason})`;
  }
}

function problemOf({ id: botId, username }: Bot, answer: Answer): BotProblem | null {
  if (answer.type === 'refused') return { botId, field: 'token', message: wordsOf(answer) };
  if (answer.type === 'unreachable') return null;
  // Telegram does not mind the case of a username.
  if (answer.username.toLowerCase() === username.toLowerCase()) return null;
  const message = `the token belongs to @${answer.username}, not to @${username}`;
  return { botId, field: 'username', message };
}

const timeoutMs = 10_000;

/** The address holds the token, so that no error that names it may leave here. */
async function askTelegram(apiUrl: string, token: string): Promise<Answer> {
  // Anything else would ask for another path than the token's.
  if (!/^\d+:[A-Za-z0-9_-]+$/.test(token)) {
    return { type: 'refused', reason: 'BotFather’s look like 123456:ABC-def' };
  }
  try {
    const response = await request(`${apiUrl}/bot${token}/getMe`, {
      signal: AbortSignal.timeout(timeoutMs),
    });
    const body = (await response.body.json()) as {
      ok?: boolean;
      description?: string;
      result?: { username?: string };
    };
    const { statusCode: status } = response;
    const username = body.result?.username;
    if (body.ok === true && username !== undefined) return { type: 'known', username };
    const reason = `${status} ${body.description ?? ''}`.trim();
    return { type: status === 401 || status === 404 ? 'refused' : 'unreachable', reason };
  } catch (error) {
    const { code, name } = error as { code?: unknown; name: string };
    return { type: 'unreachable', reason: typeof code === 'string' ? code : name };
  }
}
