/** What the bots of a test say and sell. */
import type { CatalogItem } from '@rastro/events';
import { sealSecret } from '@rastro/runtime';
import { sampleCatalog, type SampleEntry, sampleSecrets, testMasterKey } from '@rastro/testing';

export const hostileText = 'Olá <b>você</b> & "amigos" <script>alert(1)</script> </code>';

export const firstBot = { token: sampleSecrets.botToken, username: 'demo_a_bot' };

/** What the bots of a test sell and say, and which there are. */
export interface WorldOptions {
  readonly funnel?: CatalogItem<'funnel'>;
  readonly products?: readonly CatalogItem<'product'>[];
  /** Usernames of bots beside `demo_a_bot`, in the same pool; their ids are `bot-1`, `bot-2`, … */
  readonly moreBots?: readonly string[];
  readonly operatorChatId?: number;
  readonly pixExpiryMs?: number;
}

const tokenOf = (index: number): string => `11020155${index}:AAH_another_token_of_a_test_bot_000`;

export function moreBotsOf(
  options: WorldOptions,
): { id: string; username: string; token: string }[] {
  const { moreBots = [] } = options;
  return moreBots.map((username, index) => ({
    id: `bot-${index + 1}`,
    username,
    token: tokenOf(index),
  }));
}

export const product = (id: string, name: string, priceCents: number): CatalogItem<'product'> => ({
  id,
  name,
  priceCents,
  currency: 'BRL',
  accessUrl: `https://example.com/${id}`,
});

export function catalogOf(options: WorldOptions): SampleEntry[] {
  const { products = [product('ebook', 'E-book <i>&', 1990)], operatorChatId } = options;
  const funnel = options.funnel ?? {
    id: 'default',
    steps: [
      {
        id: 'welcome',
        text: hostileText,
        buttons: [
          { label: 'Saber mais', goto: 'more' },
          { label: 'Site', url: 'https://example.com/?a=1&b="2"' },
        ],
      },
      { id: 'more', text: 'Um e-book.', buttons: [{ label: 'Comprar', buy: 'ebook' }] },
    ],
  };
  const bots = moreBotsOf(options);
  const known = sampleCatalog().map((entry): SampleEntry => {
    if (entry.kind === 'funnel') return { ...entry, data: funnel };
    if (entry.kind === 'bot' && operatorChatId !== undefined) {
      return { ...entry, data: { ...(entry as SampleEntry<'bot'>).data, operatorChatId } as never };
    }
    if (entry.kind !== 'pool' || entry.data === null) return entry;
    const { data } = entry as SampleEntry<'pool'> & { data: CatalogItem<'pool'> };
    const inPool = bots.map(({ id }) => ({ bot: id, weight: 1, priority: 0 as const }));
    return { ...entry, data: { ...data, bots: [...data.bots, ...inPool] } };
  });
  const sample = known.find((entry): entry is SampleEntry<'bot'> => entry.kind === 'bot');
  return [
    ...known.filter(({ kind }) => kind !== 'product'),
    ...products.map((data): SampleEntry => ({ kind: 'product', id: data.id, data })),
    ...bots.map(({ id, username, token }): SampleEntry => {
      const sealed = sealSecret(testMasterKey, `bot/${id}/token`, token);
      const data = { ...(sample?.data as CatalogItem<'bot'>), id, username, token: sealed };
      return { kind: 'bot', id, data };
    }),
  ];
}
