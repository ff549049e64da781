/**
 * Goal: facts are judged as they deserve: what stands still is failed and says what mends it, what
 * only surprises is a warning, and what works is neither.
 * Method: the judgements on plain facts; pools are the sample's with one thing changed.
 */
import { SchemaMissingError } from '@rastro/event-store';
import type { CatalogItem } from '@rastro/events';
import { Catalog, type ConsumerReport, type Owned } from '@rastro/messaging';
import { sampleCatalog, sampleSecrets, testMasterKey } from '@rastro/testing';
import t from 'tap';
import { type BotHealth, judgeBots } from './bots.ts';
import type { Finding } from './finding.ts';
import { judgeOverdue, type PixelFacts } from './ledger.ts';
import { judgeMeta, tokenOf } from './meta.ts';
import { judgeDurable, judgeStream } from './nats.ts';
import { judgeOutbox, judgeSchemaError } from './postgres.ts';
import { judgeOrigin, judgeWebhooks } from './reach.ts';
import { judgeSecrets, opener } from './secrets.ts';
import { judgeOutcome } from './test-call.ts';

type Pool = CatalogItem<'pool'>;
type Bot = CatalogItem<'bot'>;

interface Changes {
  readonly pool?: Partial<Pool>;
  readonly meta?: Partial<Pool['meta']>;
  readonly bot?: Partial<Bot>;
}

/** The sample's catalog with its one pool changed. */
function catalogWith({ pool = {}, meta = {}, bot = {} }: Changes): Catalog {
  const catalog = new Catalog();
  for (const { kind, id, data } of sampleCatalog()) {
    const sample = data as Pool & Bot;
    const changes =
      kind === 'pool' ? { ...pool, meta: { ...sample.meta, ...meta } } : kind === 'bot' ? bot : {};
    const changedAt = '2026-11-20T12:00:00.000Z';
    const entry = { workspaceId: 'demo', kind, id, version: 1, changedAt };
    catalog.apply({ ...entry, data: { ...sample, ...changes } } as never);
  }
  return catalog;
}

const open = opener(testMasterKey);
const healthy = new Map<string, BotHealth>();

function poolIn(catalog: Catalog): Owned<'pool'> {
  const pool = catalog.get('pool', 'promo');
  if (!pool) throw new Error('the sample has no pool promo');
  return pool;
}

function metaOf(changes: Changes, pixels: readonly PixelFacts[] | null = []): Finding[] {
  const catalog = catalogWith(changes);
  return judgeMeta(poolIn(catalog), { catalog, pixels, open });
}

function botsOf(changes: Changes, health: ReadonlyMap<string, BotHealth> | null = healthy) {
  const catalog = catalogWith(changes);
  return judgeBots(poolIn(catalog), { catalog, health, open, accountProblem: () => null });
}

/** Those that are not well, shortly. */
const notWell = (findings: readonly Finding[]): string[] =>
  findings.flatMap(({ check, status }) => (status === 'ok' ? [] : `${check} ${status}`));

const bad = (botId: string, sharePercent: number | null = null): [string, BotHealth] => [
  botId,
  {
    botId,
    health: sharePercent === null ? 'unhealthy' : 'healthy',
    reason: 'refused',
    sharePercent,
  },
];

await t.test('a pool’s way to Meta', (t) => {
  t.same(notWell(metaOf({})), []);
  const cases: [Changes['meta'] & object, string[]][] = [
    [{ enabled: false }, ['Meta failed']],
    [{ enabled: false, pixelId: null, accessToken: null }, ['Meta warning']],
    [{ pixelId: null }, ['pixel id failed']],
    [{ pixelId: '12 34' }, ['pixel id failed']],
    [{ accessToken: null }, ['access token failed']],
    [{ accessToken: 'enc:v1:AAAA' }, ['access token failed']],
    [{ events: { pageView: true, purchase: false } }, ['Purchase failed']],
    [{ events: { pageView: false, purchase: true } }, ['PageView failed']],
    [{ purchaseTrigger: 'off' }, ['Purchase failed']],
    [{ purchaseTrigger: 'paid' }, []],
    [{ testEventCode: 'TEST1' }, ['testEventCode warning']],
    [{ testEventCode: '' }, []],
  ];
  for (const [meta, expected] of cases) {
    const found = metaOf({ meta });
    t.same(notWell(found), expected, JSON.stringify(meta));
    for (const { status, mend } of found) {
      t.equal(mend === null, status === 'ok');
      if (mend !== null) t.match(mend, /pools → promo → meta.*pnpm rastro catalog apply FILE/);
    }
  }
  const gate = { enabled: true, param: 'grim', value: 'hidden' };
  const surprising = metaOf({ pool: { consent: 'required', gate } });
  t.same(notWell(surprising), ['consent warning', 'gate warning']);
  t.notMatch(JSON.stringify(surprising), 'hidden');
  t.end();
});

await t.test('the token of another pool with the same pixel counts, of another pixel not', (t) => {
  const catalog = catalogWith({ meta: { accessToken: null } });
  const promo = poolIn(catalog);
  const sample = sampleCatalog().find(({ kind }) => kind === 'pool')?.data as Pool;
  const add = (id: string, workspaceId: string, meta: Partial<Pool['meta']>): void => {
    const data = { ...sample, id, meta: { ...sample.meta, ...meta } };
    const changedAt = '2026-11-20T12:00:00.000Z';
    catalog.apply({ workspaceId, kind: 'pool', id, version: 1, changedAt, data });
  };
  const opens = (place: string): string | null => (place.includes('/twin/') ? 'EAAtwin' : null);
  add('stranger', 'other', {});
  add('cousin', 'demo', { pixelId: '999' });
  t.same(tokenOf(promo, { catalog, open: opens }), { sealed: false, token: null });
  add('twin', 'demo', {});
  t.same(tokenOf(promo, { catalog, open: opens }), { sealed: true, token: 'EAAtwin' });
  t.end();
});

await t.test('a pixel as Meta left it', (t) => {
  const pixel = { workspaceId: 'demo', pixelId: '1234567890', pausedUntil: null };
  const complaint = { reason: 'code 190/463: expired', parkedAt: '2026-11-20T12:00:00.000Z' };
  const parked = metaOf({}, [{ ...pixel, isParked: true, complaint }]);
  t.same(notWell(parked), ['pixel failed']);
  t.match(JSON.stringify(parked), 'since 2026-11-20T12:00:00.000Z (code 190/463: expired)');
  const free = { ...pixel, isParked: false, complaint };
  t.same(notWell(metaOf({}, [free])), [], 'an old complaint is none');
  t.same(notWell(metaOf({}, [{ ...free, workspaceId: 'other', isParked: true }])), []);
  t.same(notWell(metaOf({}, [{ ...free, pausedUntil: new Date(9e12) }])), ['pixel warning']);
  t.same(notWell(metaOf({}, null)), ['pixel warning'], 'not known');
  t.end();
});

await t.test('whom the bridge hands visitors to', (t) => {
  t.same(notWell(botsOf({})), [], 'a bot that nobody has complained of is healthy');
  t.same(notWell(botsOf({}, new Map([bad('bot-a')]))), ['bridge failed']);
  t.same(notWell(botsOf({}, new Map([bad('bot-a', 10)]))), []);
  t.same(notWell(botsOf({}, null)), ['bridge warning']);
  t.match(botsOf({ bot: { enabled: false } })[0], { status: 'failed', detail: /an error page/ });
  const away = { pool: { fallbackUrl: 'https://example.com' }, bot: { enabled: false } };
  t.match(botsOf(away)[0]?.detail, 'fallbackUrl');
  const ghost = [0, 1].map((n) => ({ bot: ['bot-a', 'ghost'][n] ?? '', weight: 1, priority: 0 }));
  t.match(botsOf({ pool: { bots: ghost } })[0], { status: 'ok', detail: '1 healthy bots' });
  t.same(notWell(botsOf({ bot: { token: 'enc:v1:AAAA' } })), ['bot token failed']);
  const without = { token: undefined } as unknown as Partial<Bot>;
  t.same(notWell(botsOf({ bot: without })), ['bot token failed']);
  t.same(notWell(botsOf({ bot: { ...without, runtime: 'external' } })), [], 'it keeps its own');
  t.end();
});

await t.test('one of two bots is out of rotation', (t) => {
  const catalog = catalogWith({
    pool: { bots: ['bot-a', 'bot-b'].map((bot) => ({ bot, weight: 1, priority: 0 })) },
  });
  const second = { ...(catalog.get('bot', 'bot-a')?.item as Bot), id: 'bot-b' };
  const changedAt = '2026-11-20T12:00:00.000Z';
  const entry = { workspaceId: 'demo', kind: 'bot', id: 'bot-b', version: 1, changedAt } as const;
  catalog.apply({ ...entry, data: second });
  const facts = { catalog, health: new Map([bad('bot-b')]), open, accountProblem: () => 'lacks' };
  const found = judgeBots(poolIn(catalog), facts);
  t.match(found[0], { status: 'warning', detail: 'out of rotation: bot-b (refused)' });
  t.match(found.at(-1), { check: 'account', status: 'failed', detail: 'lacks' });
  t.end();
});

await t.test('another master key', (t) => {
  t.match(judgeSecrets(catalogWith({}), open), { status: 'ok', detail: 'opens all 4 secrets' });
  const closed = judgeSecrets(catalogWith({}), opener(Buffer.alloc(32, 9)));
  t.match(closed, { status: 'failed', detail: /opens 0 of 4.*bot\/bot-a\/token/ });
  for (const secret of Object.values(sampleSecrets)) t.notMatch(closed.detail, secret);
  t.end();
});

await t.test('who pulls, and what lies about', (t) => {
  const durable = { service: 'capi-dispatcher', stream: 'TRAFFIC', name: 'x__traffic' } as const;
  const idle = { pulls: 1, pending: 0, underWay: 0, redelivered: 0, lastActiveMs: null };
  const judge = (report: Partial<ConsumerReport> | null): string =>
    judgeDurable(durable, report && { ...idle, ...report }, 100_000).status;
  t.equal(judge({}), 'ok');
  t.equal(judge(null), 'failed');
  t.equal(judge({ pulls: 0 }), 'failed');
  t.equal(judge({ pulls: 0, underWay: 9, lastActiveMs: 99_000 }), 'ok', 'its hands are full');
  t.equal(judge({ pulls: 0, underWay: 9, lastActiveMs: 1_000 }), 'failed', 'it died with them');
  t.equal(judge({ pending: 10_001 }), 'warning');
  t.equal(judge({ redelivered: 1 }), 'warning');
  const stream = { stream: 'DEAD', isThere: true, differences: [], messages: 0 };
  t.same(notWell(judgeStream(stream)), []);
  t.same(notWell(judgeStream({ ...stream, messages: 2 })), ['dead letters failed']);
  t.same(notWell(judgeStream({ ...stream, isThere: false })), ['stream failed']);
  const differences = [{ setting: 'num_replicas', actual: 1, wanted: 3 }];
  const [other] = judgeStream({ ...stream, differences });
  t.match(other, { status: 'failed', detail: 'num_replicas is 1, wanted 3' });
  t.end();
});

await t.test('Postgres, and what waits there', (t) => {
  const lacking = new SchemaMissingError('capi', ['migration 002 x'], 'pnpm rastro migrate');
  const found = judgeSchemaError('capi', lacking);
  t.match(found, { detail: 'lacks migration 002 x', mend: 'pnpm rastro migrate' });
  const refused = Object.assign(new Error('password authentication failed'), { code: '28P01' });
  t.match(judgeSchemaError('capi', refused).mend, /rastro migrate.*RASTRO_DB_PASSWORD_CAPI/);
  t.equal(judgeOverdue({ events: 9, seconds: 30 }).status, 'ok');
  t.match(judgeOverdue({ events: 9, seconds: 61 }), { status: 'failed', detail: /9 events/ });
  t.equal(judgeOverdue({ events: 0, seconds: null }).status, 'ok');
  const outbox = { schema: 'funnel', waiting: 3, ageSeconds: 2 };
  t.equal(judgeOutbox(outbox).status, 'ok');
  t.match(judgeOutbox({ ...outbox, ageSeconds: 61 }), { status: 'failed', mend: /bot-funnel/ });
  t.end();
});

await t.test('who answers at PUBLIC_ORIGIN', (t) => {
  const origin = 'https://go.example.com';
  const judge = (status: number, robots = 'undefined') => judgeOrigin(origin, { status, robots });
  t.equal(judge(404, 'noindex, nofollow').status, 'ok');
  t.match(judge(404), { status: 'failed', detail: /somebody else/ });
  t.match(judge(200), { status: 'failed', detail: /somebody else/ });
  t.match(judge(502), { status: 'failed', mend: /redirect-gateway/ });
  t.equal(judgeWebhooks(origin, false).status, 'ok');
  t.equal(judgeWebhooks('http://localhost', true).status, 'ok');
  t.equal(judgeWebhooks('http://localhost', false).status, 'warning');
  t.end();
});

await t.test('what Meta says to a test call', (t) => {
  const nothing = { httpStatus: 200, code: null, subcode: null, messages: [], waitMs: null };
  const outcome = { ...nothing, fbtraceId: 'A1', reason: 'why' } as const;
  const judge = (kind: Parameters<typeof judgeOutcome>[1]['kind']): Finding =>
    judgeOutcome('promo', { ...outcome, kind }, 'https://graph.facebook.com');
  t.equal(judge('accepted').status, 'ok');
  t.match(judge('parked').mend, 'pools → promo → meta.accessToken');
  for (const kind of ['throttled', 'transient', 'unknown', 'rejected'] as const) {
    t.match(judge(kind), { status: 'failed', detail: /why \(fbtrace_id A1\)/, mend: /./ });
  }
  t.end();
});
