/**
 * One customer from the ad to the delivery page, without a browser: for walks in great number.
 * Like a person, a customer tries again when a page does not come up.
 */
import { randomInt, randomUUID } from 'node:crypto';
import { eventually } from '@rastro/testing';
import { request } from 'undici';
import type { ChatButton, ChatMessage, SandboxClient } from './sandbox-client.ts';

export interface JourneyWorld {
  readonly publicOrigin: string;
  readonly sandbox: SandboxClient;
  /** How long each stage may take while things are being killed. */
  readonly timeoutMs?: number;
  /** Of the pool whose ad is opened; the demo's if not given. */
  readonly slug?: string;
}

export interface Journey {
  readonly trackingToken: string;
  readonly username: string;
  readonly telegramUserId: number;
  readonly paymentId: string;
  readonly deliveryUrl: string;
  /** Every token that a visitor was answered with, also those of page loads that came to nothing. */
  readonly answeredTokens: readonly string[];
}

const userAgent =
  'Mozilla/5.0 (Linux; Android 14; SM-A546E) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36';

/** Headers of a real phone behind the edge. */
const visitorHeaders = (): Record<string, string> => ({
  'user-agent': userAgent,
  accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
  'accept-language': 'pt-BR,pt;q=0.9',
  'x-forwarded-for': `177.10.${randomInt(1, 250)}.${randomInt(1, 250)}`,
});

const newFbclid = (): string =>
  `IwAR${randomUUID().replaceAll('-', '')}_aem_${randomUUID().slice(0, 8)}`;

/** Opens the ad's link until a page comes up. */
async function openAd(world: JourneyWorld, answeredTokens: string[] = []) {
  const { publicOrigin, timeoutMs = 30_000, slug = 'promo' } = world;
  const url = `${publicOrigin}/go/${slug}?fbclid=${newFbclid()}&utm_source=FB&utm_campaign=Teste%7C1`;
  return eventually(
    async () => {
      const response = await request(url, { headers: visitorHeaders(), headersTimeout: 5_000 });
      const html = await response.body.text();
      if (response.statusCode !== 200)
        throw new Error(`the ad's link answered ${response.statusCode}`);
      const link = /\/([A-Za-z][A-Za-z0-9_]+)\?start=([0-9a-f]{32})/.exec(html);
      const [, username, trackingToken] = link ?? [];
      if (!username || !trackingToken) throw new Error('the bridge page has no link to a bot');
      answeredTokens.push(trackingToken);
      return { username, trackingToken };
    },
    { timeoutMs, intervalMs: 100 },
  );
}

/** Walks until the delivery page was opened. */
export async function walk(world: JourneyWorld): Promise<Journey> {
  const { sandbox, timeoutMs = 30_000 } = world;
  const answeredTokens: string[] = [];
  const { username, trackingToken } = await openAd(world, answeredTokens);
  const telegramUserId = randomInt(100_000_000, 2_000_000_000);
  await sandbox.start(username, telegramUserId, trackingToken);
  const until = <T>(find: (messages: ChatMessage[]) => T | undefined, what: string): Promise<T> =>
    eventually(
      async () => {
        const found = find(await sandbox.messages(username, telegramUserId));
        if (found === undefined) throw new Error(`${username}/${telegramUserId} waits for ${what}`);
        return found;
      },
      { timeoutMs, intervalMs: 100 },
    );

  const buy = await until(
    (all) => findButton(all, ({ callback_data }) => callback_data !== undefined),
    'the offer',
  );
  await sandbox.press(username, telegramUserId, buy.messageId, buy.button.callback_data ?? '');
  const pixCode = await until(findPixCode, 'the PIX code');
  const charge = (await sandbox.charges()).find(({ pix_code }) => pix_code === pixCode);
  if (!charge) throw new Error('the PIX code in the chat is not of any charge');
  await sandbox.pay(charge.charge_id);
  const deliveryUrl = await until(findDeliveryUrl, 'the delivery link');
  await openDelivery(deliveryUrl, timeoutMs);
  const paymentId = charge.external_reference;
  return { trackingToken, username, telegramUserId, paymentId, deliveryUrl, answeredTokens };
}

async function openDelivery(url: string, timeoutMs: number): Promise<void> {
  await eventually(
    async () => {
      const response = await request(url, { headers: visitorHeaders(), headersTimeout: 5_000 });
      await response.body.dump();
      if (response.statusCode !== 200)
        throw new Error(`the delivery page answered ${response.statusCode}`);
    },
    { timeoutMs, intervalMs: 200 },
  );
}

function findButton(
  messages: readonly ChatMessage[],
  isWanted: (button: ChatButton) => boolean,
): { messageId: number; button: ChatButton } | undefined {
  for (const { message_id, from, reply_markup } of messages) {
    const button = from.is_bot ? reply_markup?.inline_keyboard.flat().find(isWanted) : undefined;
    if (button) return { messageId: message_id, button };
  }
  return undefined;
}

const textOf = ({ text, caption }: ChatMessage): string => text ?? caption ?? '';

function findPixCode(messages: readonly ChatMessage[]): string | undefined {
  const codes = messages.flatMap(
    (message) => /000201[^\n]+6304[0-9A-F]{4}/.exec(textOf(message))?.[0] ?? [],
  );
  return codes[0];
}

function findDeliveryUrl(messages: readonly ChatMessage[]): string | undefined {
  const inText = messages.flatMap(
    (message) => /https?:\/\/\S+\/delivery\/[\w-]+/.exec(textOf(message))?.[0] ?? [],
  );
  return (
    inText[0] ?? findButton(messages, ({ url }) => url?.includes('/delivery/') ?? false)?.button.url
  );
}
