/**
 * Goal: the metrics page says what became of events, why some were never sent, what Meta will
 * complain of and how late the oldest is; and asking costs little however large the ledger is.
 * Method: real NATS and Postgres, a dispatcher, the sandbox's Graph; the page is read as Prometheus
 * would; Postgres' own count of scans says whether a question read the whole ledger.
 */
import { sampleEvent, eventually } from '@rastro/testing';
import t from 'tap';
import { oldestUnsent } from '../src/adapters/metrics.ts';
import { journeyOf, startWorld } from './world.ts';

await using world = await startWorld();
const { graph, pools, publish, sql, untilState } = world;

await t.test('what became of events is on the page', async (t) => {
  await using dispatcher = await world.start();
  const read = async (): Promise<string[]> =>
    (await (await fetch(`${dispatcher.url}/metrics`)).text())
      .replaceAll(',service="capi-dispatcher"', '')
      .split('\n');
  const untilOnPage = (line: string) =>
    eventually(async () => {
      const lines = await read();
      if (!lines.includes(line)) throw new Error(`not on the page: ${line}\n${lines.join('\n')}`);
    });
  const pool = await pools.add({ purchaseTrigger: 'paid' });
  const pixel = `pixel="${pool.pixelId}"`;

  const plain = journeyOf(pool);
  const withoutAgent = { ...plain.click.data, userAgent: '' };
  await graph.fault(pool.pixelId, { times: 1, action: { reset: true } });
  await publish(sampleEvent('ClickTracked', withoutAgent));
  await untilState(plain.pageViewId, 'accepted');
  const view = `${pixel},event="PageView"`;
  await untilOnPage(`rastro_conversions_outcomes_total{${view},outcome="unconfirmed"} 1`);
  await untilOnPage(`rastro_conversions_outcomes_total{${view},outcome="accepted"} 1`);
  await untilOnPage(
    `rastro_conversions_complaints_total{${view},complaint="missing_user_agent"} 1`,
  );
  const call = `rastro_conversions_sent_total{${view},outcome=`;
  await untilOnPage(`${call}"unknown",code="",subcode=""} 1`);
  await untilOnPage(`${call}"accepted",code="",subcode=""} 1`);

  const poisoned = journeyOf(pool);
  await publish(sampleEvent('PaymentPaid', { ...poisoned.paid.data, currency: 'ZZZ' }));
  await publish(poisoned.click);
  await untilState(poisoned.purchaseId, 'rejected');
  const sale = `${pixel},event="Purchase"`;
  await untilOnPage(`rastro_conversions_outcomes_total{${sale},outcome="rejected"} 1`);
  await untilOnPage(
    `rastro_conversions_sent_total{${sale},outcome="rejected",code="100",subcode="2804019"} 1`,
  );

  const robot = journeyOf(pool);
  await publish(sampleEvent('ClickTracked', { ...robot.click.data, trafficClass: 'bot' }));
  await untilState(robot.pageViewId, 'skipped');
  await untilOnPage(`rastro_conversions_skipped_total{${view},reason="not_human"} 1`);
  // What nobody can be matched by was planned, and is found out when it is to be sent.
  const nobody = journeyOf(pool);
  const unnamed = { ...nobody.paid.data, trackingToken: null, telegramUserId: null };
  await publish(sampleEvent('PaymentPaid', unnamed));
  t.equal((await untilState(nobody.purchaseId, 'skipped')).reason, 'no_match_keys');
  await untilOnPage(`rastro_conversions_skipped_total{${sale},reason="no_match_keys"} 1`);

  const old = journeyOf(pool);
  const clickedAt = new Date(Date.now() - 8 * 86_400_000).toISOString();
  await publish(sampleEvent('ClickTracked', { ...old.click.data, clickedAt }));
  await untilState(old.pageViewId, 'expired');
  await untilOnPage(`rastro_conversions_outcomes_total{${view},outcome="expired"} 1`);
  t.notOk(
    (await read()).some((line) => /EAA|evt_|purchase_/.test(line)),
    'and nothing of anybody',
  );
});

await t.test('the oldest unsent is found, and without reading the ledger', async (t) => {
  const pixelId = '7100000000';
  await sql`insert into pixels (workspace_id, pixel_id) values ('demo', ${pixelId})`;
  await sql`
    insert into conversions (id, workspace_id, pixel_id, event_name, event_id, state, due_at,
      event_time)
    select gen_random_uuid(), 'demo', ${pixelId}, 'PageView', 'evt_' || n, 'accepted',
      now() - interval '1 day', extract(epoch from now())::bigint - 86400
    from generate_series(1, 20000) n`;
  await sql`analyze conversions`;
  const put = async (state: string, eventName: string, ages: number[], dueInSeconds: number) => {
    for (const age of ages) {
      await sql`
        insert into conversions (id, workspace_id, pixel_id, event_name, event_id, state, due_at,
          event_time)
        values (gen_random_uuid(), 'demo', ${pixelId}, ${eventName}, ${`${state}_${age}`}, ${state},
          now() + ${dueInSeconds} * interval '1 second',
          extract(epoch from now())::bigint - ${age}::bigint)`;
    }
  };
  const ages = async () => {
    const rows = (await oldestUnsent(sql)).filter((row) => row.pixelId === pixelId);
    return Object.fromEntries(rows.map(({ eventName, age }) => [eventName, Math.round(age / 10)]));
  };
  t.same(await ages(), {}, 'accepted ones do not count');
  await put('waiting', 'Purchase', [9_000], 600);
  t.same(await ages(), {}, 'nor what is not due');
  await put('due', 'PageView', [50, 150], -1);
  await put('unconfirmed', 'Purchase', [300], -1);
  t.same(await ages(), { PageView: 15, Purchase: 30 });
  await put('parked', 'Purchase', [5_000, 4_000], -1);
  await put('sending', 'PageView', [700], -1);
  t.same(await ages(), { PageView: 70, Purchase: 500 });

  await sql.begin(async (tx) => {
    const scans = async () => {
      const [row] = await tx<{ seqScan: number }[]>`
        select seq_scan from pg_stat_xact_user_tables
        where relid = 'conversions'::regclass`;
      return Number(row?.seqScan ?? 0);
    };
    const before = await scans();
    await oldestUnsent(tx);
    t.equal(await scans(), before, 'only indexes were read');
    await tx`select count(*) from conversions where state <> 'accepted'`;
    t.equal(await scans(), before + 1, 'a scan would have been seen');
  });
});
