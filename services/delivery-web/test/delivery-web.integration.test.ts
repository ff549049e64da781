/**
 * Goal: a paid order gets one delivery however often it is told of, and its page follows what
 * becomes of the money and of what Meta has heard. Method: the whole service against a real NATS
 * and Postgres; events are published as the other services would publish them.
 */
import { join } from 'node:path';
import { eventStoreMigrations } from '@rastro/event-store';
import {
  type CatalogItem,
  eventSubject,
  paymentsRevalidate,
  type RastroEvent,
  type ReplyOf,
} from '@rastro/events';
import { connectNats, serveRequests, subscribe } from '@rastro/messaging';
import { newId, sha256Hex } from '@rastro/runtime';
import {
  eventually,
  migratedDatabase,
  putCatalog,
  sampleCatalog,
  sampleEvent,
  startTestServers,
  testLog,
} from '@rastro/testing';
import t from 'tap';
import { type Config, readConfig } from '../src/config.ts';
import { startService } from '../src/service.ts';

const migrations = { name: 'delivery', path: join(import.meta.dirname, '../migrations') };
const userAgent =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148';
const hour = 3_600_000;

await using stack = new AsyncDisposableStack();
const servers = stack.use(await startTestServers({ nats: true, postgres: true }));
const folders = [eventStoreMigrations, migrations];
const database = stack.use(await migratedDatabase(servers, { schema: 'delivery', folders }));
const { sql } = database;
const nats = stack.use(await connectNats({ url: servers.nats.url, name: 'test', log: testLog() }));
await putCatalog(nats, 'demo', sampleCatalog());

const heard: RastroEvent[] = [];
stack.use(
  await subscribe(nats, {
    service: 'test',
    purpose: 'deliveries',
    stream: 'COMMERCE',
    types: ['DeliveryIssued', 'DeliveryViewed'],
    handle: async (event) => {
      heard.push(event);
      return 'ack';
    },
  }),
);

const config: Config = {
  ...readConfig({ NATS_URL: servers.nats.url, POSTGRES_URL: database.url, PORT: '0' }),
  pixelScriptUrl: 'http://127.0.0.1:9/fbevents.js',
};
const service = stack.use(await startService(config, testLog()));

/** Newest of what was said, by stream. */
const said = new Map<string, number>();

async function say(event: RastroEvent): Promise<void> {
  const options = { msgID: event.id, timeout: 20_000 };
  const text = JSON.stringify(event);
  const { stream, seq } = await nats.js.publish(eventSubject(event), text, options);
  said.set(stream, Math.max(seq, said.get(stream) ?? 0));
}

const tokenOf = (): string => newId().replaceAll('-', '');

function heardOf<T extends 'DeliveryIssued' | 'DeliveryViewed'>(type: T, paymentId: string) {
  return heard.filter(
    (event) =>
      event.type === type && (event.data as { paymentId?: string }).paymentId === paymentId,
  ) as RastroEvent<T>[];
}

/** Resolves with the delivery once it is in JetStream. */
function issuedFor(paymentId: string) {
  return eventually(() => {
    const [issued] = heardOf('DeliveryIssued', paymentId);
    if (!issued) throw new Error(`no DeliveryIssued for ${paymentId}`);
    return issued;
  });
}

async function open(token: string, headers: Record<string, string> = {}) {
  const response = await fetch(`${service.url}/delivery/${token}`, {
    headers: { 'user-agent': userAgent, 'x-forwarded-for': '2804:14c::1', ...headers },
  });
  return { status: response.status, body: await response.text() };
}

interface PageData {
  readonly pixel: { eventId: string; externalIds: string[]; customData: { value: number } };
}

function pageData(body: string): PageData | null {
  const json = /id="page-data">(.*?)<\/script>/s.exec(body)?.[1];
  return json === undefined ? null : (JSON.parse(json) as PageData);
}

function putProduct(changes: Partial<CatalogItem<'product'>>, version: number): Promise<void> {
  const product = sampleCatalog().find(({ kind, id }) => kind === 'product' && id === 'ebook');
  const data = { ...(product?.data as CatalogItem<'product'>), ...changes };
  return putCatalog(nats, 'demo', [{ kind: 'product', id: 'ebook', data, version }]);
}

/** Resolves when all that was said so far has been acted upon. */
async function settled(): Promise<void> {
  const check = async (): Promise<void> => {
    for (const stream of ['COMMERCE', 'TRAFFIC']) {
      const durable = `delivery-web__${stream.toLowerCase()}`;
      const info = await nats.jsm.consumers.info(stream, durable);
      // A consumer learns of a message a moment after the stream has confirmed it.
      const hasSeenAll = info.delivered.stream_seq >= (said.get(stream) ?? 0);
      const waiting = info.num_pending + info.num_ack_pending;
      if (!hasSeenAll || waiting > 0) throw new Error(`${durable} is not done`);
    }
  };
  await eventually(check, { timeoutMs: 30_000 });
}

await t.test(
  'paid three times, delivered once; the page knows the click that comes later',
  async (t) => {
    const paymentId = newId();
    const leadId = newId();
    const trackingToken = tokenOf();
    const payment = { paymentId, leadId, trackingToken };
    const paid = sampleEvent('PaymentPaid', payment);
    await say(paid);
    await say(sampleEvent('PaymentPaid', payment));
    await say(sampleEvent('PaymentPaid', payment));
    const issued = await issuedFor(paymentId);
    await settled();
    const { deliveryToken } = issued.data;
    t.equal(heardOf('DeliveryIssued', paymentId).length, 1);
    t.match(issued, {
      source: 'delivery-web',
      correlationid: trackingToken,
      data: {
        productName: 'E-book',
        accessUrl: 'https://example.com/ebook',
        hasPixel: true,
        poolId: 'promo',
        leadId,
      },
    });
    t.ok(Buffer.from(deliveryToken, 'base64url').length >= 16, '128 bits and more');
    const stored = await sql`select * from deliveries where payment_id = ${paymentId}`;
    t.equal(stored[0]?.['tokenHash'], sha256Hex(deliveryToken));
    t.notOk(JSON.stringify(stored).includes(deliveryToken), 'the table opens nothing');

    t.same(pageData((await open(deliveryToken)).body)?.pixel.externalIds, [], 'nobody known yet');
    await say(sampleEvent('ClickTracked', { trackingToken }));
    await say(sampleEvent('FunnelStarted', { leadId, trackingToken }));
    await settled();
    const data = pageData((await open(deliveryToken)).body);
    t.equal(data?.pixel.eventId, `purchase_${paymentId}`);
    t.equal(data?.pixel.customData.value, 19.9);
    t.same(
      data?.pixel.externalIds,
      ['a', 'b', 'c'].map((digit) => digit.repeat(64)),
    );
    await eventually(() => {
      if (heardOf('DeliveryViewed', paymentId).length === 0) throw new Error('no DeliveryViewed');
    });
    await open(deliveryToken);
    await settled();
    const views = heardOf('DeliveryViewed', paymentId);
    t.equal(views.length, 1, 'three openings in a minute are one event');
    t.match(views[0]?.data, { clientIp: '2804:14c::1', userAgent, isPixelRendered: true });
  },
);

await t.test('a page of another workspace never sees this one’s click', async (t) => {
  const paymentId = newId();
  const trackingToken = tokenOf();
  await say(
    sampleEvent('ClickTracked', { trackingToken, consent: 'denied' }, { workspaceid: 'other' }),
  );
  await say(sampleEvent('PaymentPaid', { paymentId, trackingToken, leadId: null }));
  const { data } = await issuedFor(paymentId);
  await settled();
  t.same(pageData((await open(data.deliveryToken)).body)?.pixel.externalIds, []);
});

await t.test('money that goes back closes the page; a dispute asks the gateway', async (t) => {
  const paymentId = newId();
  let status: ReplyOf<typeof paymentsRevalidate>['status'] = 'disputed';
  await using _confirmer = await serveRequests(nats, {
    definition: paymentsRevalidate,
    service: 'payment-confirmer',
    handle: async ({ paymentId: asked }) => {
      const { checkoutId, productId, amountCents, currency } = sampleEvent('PaymentPaid').data;
      const { pixCode, expiresAt } = sampleEvent('PaymentCreated').data;
      const order = { paymentId: asked, checkoutId, productId, amountCents, currency };
      return { ok: true, value: { ...order, status, pixCode, expiresAt } };
    },
  });
  await say(sampleEvent('PaymentPaid', { paymentId }));
  const { deliveryToken } = (await issuedFor(paymentId)).data;
  const statusAfter = async (...events: RastroEvent[]): Promise<number> => {
    for (const event of events) await say(event);
    await settled();
    return (await open(deliveryToken)).status;
  };
  const part = { paymentId, isPartial: true, totalRefundedCents: 100 };
  t.equal(await statusAfter(sampleEvent('PaymentRefunded', part)), 200, 'a part back');
  const at = (time: string, isOpen: boolean) =>
    sampleEvent('PaymentDisputed', { paymentId, isOpen, disputedAt: `2026-11-21T${time}:00.000Z` });
  t.equal(await statusAfter(at('10:00', true)), 202);
  status = 'paid';
  t.equal(await statusAfter(), 200, 'the gateway already says paid');
  status = 'disputed';
  t.equal(await statusAfter(at('12:00', false), at('11:00', true)), 200, 'told out of order');
  const whole = { paymentId, isPartial: false, totalRefundedCents: 1990 };
  t.equal(await statusAfter(sampleEvent('PaymentRefunded', whole)), 410);
  t.equal((await open('A'.repeat(32))).status, 404);

  await putProduct({ accessAfterRefund: 'stays' }, 2);
  await eventually(async () => {
    if ((await open(deliveryToken)).status !== 200) throw new Error('the catalog is not there yet');
  });
  t.equal(await statusAfter(sampleEvent('PaymentChargedBack', { paymentId })), 410, 'taken back');
  await putProduct({}, 3);
});

await t.test('a second process takes over half of it: each payment has one delivery', async (t) => {
  await using _other = await startService(config, testLog());
  const paymentIds = Array.from({ length: 30 }, newId);
  // Said twice, as a payment would be that was recorded again.
  await Promise.all(
    [...paymentIds, ...paymentIds].map((paymentId) =>
      say(sampleEvent('PaymentPaid', { paymentId })),
    ),
  );
  for (const paymentId of paymentIds) await issuedFor(paymentId);
  await settled();
  for (const paymentId of paymentIds) t.equal(heardOf('DeliveryIssued', paymentId).length, 1);
});

await t.test('the Pixel is silent 47 h after Meta may have heard of it', async (t) => {
  const pixelAfter = async (
    type: 'ConversionAccepted' | 'ConversionUnconfirmed',
    ageMs: number,
  ) => {
    const paymentId = newId();
    const at = new Date(Date.now() - ageMs).toISOString();
    const times = type === 'ConversionAccepted' ? { acceptedAt: at } : { attemptedAt: at };
    const purchase = {
      eventName: 'Purchase',
      paymentId,
      eventId: `purchase_${paymentId}`,
    } as const;
    await say(sampleEvent('PaymentPaid', { paymentId }));
    await say(sampleEvent(type, { ...purchase, ...times }));
    await say(
      sampleEvent('ConversionAccepted', { ...purchase, acceptedAt: new Date().toISOString() }),
    );
    const { deliveryToken } = (await issuedFor(paymentId)).data;
    await settled();
    return pageData((await open(deliveryToken)).body)?.pixel ?? null;
  };
  t.ok(await pixelAfter('ConversionAccepted', 46 * hour));
  t.equal(await pixelAfter('ConversionAccepted', 47 * hour), null);
  t.equal(await pixelAfter('ConversionUnconfirmed', 47 * hour), null, 'it may have arrived');

  const paymentId = newId();
  await say(sampleEvent('PaymentPaid', { paymentId }));
  const { deliveryToken } = (await issuedFor(paymentId)).data;
  t.ok(pageData((await open(deliveryToken)).body)?.pixel);
  await eventually(async () => {
    const aged = await sql`
      update deliveries set first_pixel_at = first_pixel_at - interval '47 hours'
      where payment_id = ${paymentId} and first_pixel_at is not null`;
    if (aged.count === 0) throw new Error('the opening is not recorded yet');
  });
  t.equal(pageData((await open(deliveryToken)).body), null, 'an earlier browser reported it');
});

await t.test('the visitor never waits for the record of the opening', async (t) => {
  const paymentId = newId();
  await say(sampleEvent('PaymentPaid', { paymentId }));
  const { deliveryToken } = (await issuedFor(paymentId)).data;
  await settled();
  await sql.begin(async (tx) => {
    await tx`lock table events in access exclusive mode`;
    t.equal((await open(deliveryToken)).status, 200);
    t.equal(heardOf('DeliveryViewed', paymentId).length, 0);
  });
  await eventually(() => {
    if (heardOf('DeliveryViewed', paymentId).length === 0) throw new Error('it was forgotten');
  });
});
