/** What a house knows, to be compared before and after. */
import type { ConsumerInfo } from '@nats-io/jetstream';
import type { Nats } from '@rastro/messaging';
import type { Sql } from '@rastro/runtime';
import { eventually } from '@rastro/testing';
import type { SandboxClient } from './sandbox-client.ts';

const quietForMs = 3_000;
/** Durables of the seven services together, at least: fewer means that some are not back yet. */
const minConsumers = 8;

/** Who can be asked what is still to do. */
export interface Watched {
  readonly nats: Nats;
  readonly sql: Sql;
  readonly sandbox: SandboxClient;
  readonly gatewayUrl: string;
}

/**
 * Until every consumer of both streams has nothing left, and no service has anything of its own to
 * go on with, for a while: an answer that was lost in the storm is asked for again up to 15 s later.
 */
export async function settled({ nats, sql, sandbox, gatewayUrl }: Watched): Promise<void> {
  /** Null where the last look saw work, or nobody could be asked. */
  let quietSince: number | null = null;
  await eventually(
    async () => {
      const before = quietSince;
      quietSince = null;
      const lookedAt = performance.now();
      const consumers = await consumersOf(nats);
      const waiting = consumers.filter((info) => info.num_pending > 0 || info.num_ack_pending > 0);
      const [work, clicks, calls] = [owedWork(sql), spooled(gatewayUrl), webhooks(sandbox)];
      const owed = (await Promise.all([work, clicks, calls])).flat();
      const isBusy = consumers.length < minConsumers || waiting.length > 0 || owed.length > 0;
      if (!isBusy) quietSince = before ?? lookedAt;
      if (quietSince === null || performance.now() - quietSince < quietForMs) {
        const names = waiting.map(({ name }) => name).join();
        throw new Error(`${consumers.length} consumers, waiting: ${names}, owed: ${owed.join()}`);
      }
    },
    { timeoutMs: 60_000, intervalMs: 250 },
  );
}

async function consumersOf({ jsm }: Nats): Promise<ConsumerInfo[]> {
  const consumers = [];
  for (const stream of ['COMMERCE', 'TRAFFIC']) {
    for await (const info of jsm.consumers.list(stream)) {
      if (info.config.durable_name !== undefined) consumers.push(info);
    }
  }
  return consumers;
}

/** What a service still means to do by itself. */
async function owedWork(of: Sql): Promise<string[]> {
  const rows = await of<{ work: string }[]>`
    select 'payment requests' as work from funnel.payment_requests where status = 'pending'
    union select 'messages' from funnel.messages where status in ('queued', 'sending')
    union select 'webhooks' from payments.webhooks where processed_at is null
    union select 'conversions' from capi.conversions where state in ('due', 'sending', 'unconfirmed')
      or (state = 'waiting' and due_at < now() + interval '1 minute')
    union select 'outbox of bot-funnel' from funnel.outbox
    union select 'outbox of payment-confirmer' from payments.outbox
    union select 'outbox of delivery-web' from delivery.outbox
    union select 'outbox of capi-dispatcher' from capi.outbox`;
  return rows.map(({ work }) => work);
}

/** Clicks that the gateway has on disk and not yet carried to JetStream. */
async function spooled(gatewayUrl: string): Promise<string[]> {
  const metrics = await (await fetch(`${gatewayUrl}/metrics`)).text();
  return /^rastro_spool_bytes\{.*\} 0$/m.test(metrics) ? [] : ['spool of redirect-gateway'];
}

/** What the sandbox's gateway could not deliver and will try again. */
async function webhooks(sandbox: SandboxClient): Promise<string[]> {
  const all = await sandbox.webhooks();
  return all.some(({ state }) => state === 'waiting') ? ['webhooks of the sandbox'] : [];
}

/** When gateways were and will be asked goes on by itself, whatever is delivered. */
const byTheClock = [
  'asked_at',
  'asked_count',
  'answered_count',
  'next_check_at',
  'wanted_at',
  'follow_ups_left',
];

/** Of what a service looks after by itself: the first look comes a minute after its start. */
const upkeep = [
  'bot_health',
  'dataset_quality',
  'quality_reads',
  'retention_backlog',
  'retention_progress',
];

/** What events leave behind, as one hash a table; what was delivered and sent is another matter. */
export async function everything(of: Sql): Promise<Map<string, string>> {
  const bookkeeping = ['inbox', 'outbox', 'schemaversion'];
  const tables = await of<{ schema: string; name: string }[]>`
    select schemaname as schema, tablename as name from pg_tables
    where schemaname in ('payments', 'delivery', 'funnel', 'capi', 'tracking')
      and not (tablename = any(${[...bookkeeping, ...upkeep]})) order by 1, 2`;
  const hashes = new Map<string, string>();
  for (const { schema, name } of tables) {
    const [row] = await of<{ hash: string | null }[]>`
      select md5(string_agg(fields::text, chr(10) order by fields::text)) as hash
      from (select to_jsonb(t) - ${byTheClock}::text[] as fields
        from ${of(schema)}.${of(name)} t) as rows`;
    hashes.set(`${schema}.${name}`, row?.hash ?? 'empty');
  }
  return hashes;
}
