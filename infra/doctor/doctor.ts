/** Goes from room to room; what cannot be looked at is a finding too, and the rest is looked at. */
import { createAccountCheck } from '@rastro/payment-confirmer/account-check';
import { type Catalog, connectNats, type Nats, type Owned, readCatalog } from '@rastro/messaging';
import { connectPostgres, type Logger, type Sql } from '@rastro/runtime';
import { type BotHealth, gatherBotHealth, judgeBots } from './bots.ts';
import { failed, type Finding, inTime, ok, startAgain, wordsOf } from './finding.ts';
import { gatherOverdue, gatherPixels, judgeOverdue, type PixelFacts } from './ledger.ts';
import { judgeMeta } from './meta.ts';
import { lookAtNats } from './nats.ts';
import { gatherOutboxes, judgeOutbox, lookAtSchemas } from './postgres.ts';
import { judgeWebhooks, lookAtOrigin, lookAtRedis } from './reach.ts';
import { judgeSecrets, opener } from './secrets.ts';
import { createMetaCheck, type TestCallOptions } from './test-call.ts';

export interface DoctorOptions {
  /** Each throws where nobody has said where it is. */
  readonly postgresUrl: () => string;
  readonly natsUrl: () => string;
  readonly natsReplicas: number;
  readonly redisUrl: string | undefined;
  readonly publicOrigin: string;
  readonly isSandbox: boolean;
  readonly masterKey: Buffer;
  readonly passwordOf: (schema: string) => string;
  readonly isChosen: (pool: Owned<'pool'>) => boolean;
  /** Null: Meta is not asked. */
  readonly testCall: TestCallOptions | null;
  readonly log: Logger;
}

export interface Diagnosis {
  readonly findings: readonly Finding[];
  /** Null where the catalog could not be read. */
  readonly pools: readonly Owned<'pool'>[] | null;
}

/** What the rooms told for the pools; null where a room was closed. */
interface Known {
  readonly health: ReadonlyMap<string, BotHealth> | null;
  readonly pixels: readonly PixelFacts[] | null;
}

export async function examine(options: DoctorOptions): Promise<Diagnosis> {
  const { publicOrigin, redisUrl, log, isSandbox } = options;
  const [postgres, nats, redis, origin] = await Promise.all([
    lookAtPostgresRoom(options),
    lookAtNatsRoom(options),
    redisUrl === undefined ? null : lookAtRedis(redisUrl, log),
    lookAtOrigin(publicOrigin),
  ]);
  const house = [
    ...postgres.findings,
    ...nats.findings,
    ...(redis ? [redis] : []),
    origin,
    judgeWebhooks(publicOrigin, isSandbox),
  ];
  const { catalog } = nats;
  if (!catalog) return { findings: house, pools: null };
  const pools = catalog.list('pool').filter(options.isChosen);
  const found = await lookAtPools(options, catalog, pools, postgres.known);
  return { findings: distinct([...house, ...found]), pools };
}

/** A bot or account of two pools is told of once. */
function distinct(findings: readonly Finding[]): Finding[] {
  const texts = new Map(findings.map((finding) => [JSON.stringify(finding), finding]));
  return [...texts.values()];
}

async function lookAtPostgresRoom(
  options: DoctorOptions,
): Promise<{ findings: Finding[]; known: Known }> {
  const findings: Finding[] = [];
  let known: Known = { health: null, pixels: null };
  let sql: Sql | undefined;
  let about = { check: 'Postgres', subject: 'server' };
  try {
    const url = options.postgresUrl();
    about = { ...about, subject: new URL(url).host };
    sql = connectPostgres({ url, schema: 'public', service: 'rastro doctor', maxConnections: 2 });
    await inTime(sql`select 1`);
    findings.push(ok(about, 'answers'));
    findings.push(...(await lookAtSchemas(url, options.passwordOf)));
    known = await askTables(sql, findings);
  } catch (error) {
    findings.push(failed(about, `cannot be used: ${wordsOf(error)}`, startAgain('postgres')));
  } finally {
    await sql?.end({ timeout: 1 });
  }
  return { findings, known };
}

/** Tables that lack were told of by the schemas; what depends on them is left out. */
async function askTables(sql: Sql, findings: Finding[]): Promise<Known> {
  async function asked<T>(check: string, question: () => Promise<T>): Promise<T | null> {
    try {
      return await question();
    } catch (error) {
      const about = { check, subject: 'Postgres' };
      findings.push(failed(about, `cannot be asked: ${wordsOf(error)}`, 'pnpm rastro migrate'));
      return null;
    }
  }
  const outboxes = await asked('outbox', () => gatherOutboxes(sql));
  findings.push(...(outboxes ?? []).map(judgeOutbox));
  const overdue = await asked('ledger', () => gatherOverdue(sql));
  if (overdue) findings.push(judgeOverdue(overdue));
  const health = await asked('bot health', () => gatherBotHealth(sql));
  const pixels = await asked('pixels', () => gatherPixels(sql));
  return { health, pixels };
}

async function lookAtNatsRoom(
  options: DoctorOptions,
): Promise<{ findings: Finding[]; catalog: Catalog | null }> {
  const { natsReplicas, log } = options;
  let about = { check: 'NATS', subject: 'server' };
  let nats: Nats | undefined;
  const signal = AbortSignal.timeout(4_000);
  try {
    const url = options.natsUrl();
    about = { ...about, subject: new URL(url.split(',')[0] ?? url).host };
    nats = await connectNats({
      url,
      name: 'rastro-doctor',
      log,
      topology: { replicas: natsReplicas },
      signal,
    });
    const findings = [ok(about, 'answers'), ...(await lookAtNats(nats))];
    const catalog = await inTime(readCatalog(nats));
    return { findings, catalog };
  } catch (error) {
    const words =
      signal.aborted && !nats ? 'no answer, or the password is another one' : wordsOf(error);
    const finding = failed(about, `cannot be used: ${words}`, startAgain('nats'));
    return { findings: [finding], catalog: null };
  } finally {
    await nats?.[Symbol.asyncDispose]();
  }
}

async function lookAtPools(
  options: DoctorOptions,
  catalog: Catalog,
  pools: readonly Owned<'pool'>[],
  known: Known,
): Promise<Finding[]> {
  const { masterKey, publicOrigin, testCall } = options;
  const open = opener(masterKey);
  const accountProblem = createAccountCheck({ catalog, masterKey, publicOrigin });
  const facts = { catalog, open, accountProblem, ...known };
  const findings = [judgeSecrets(catalog, open)];
  if (catalog.list('pool').length === 0) {
    const about = { check: 'pools', subject: 'catalog' };
    const mend = 'pnpm rastro catalog apply FILE (infra/sandbox/catalog.yaml is an example)';
    findings.push(failed(about, 'there are none: no link leads anywhere', mend));
  }
  const askMeta = testCall ? createMetaCheck(facts, testCall) : async () => [];
  const found = await Promise.all(
    pools.map(async (pool) => [
      ...judgeBots(pool, facts),
      ...judgeMeta(pool, facts),
      ...(await askMeta(pool)),
    ]),
  );
  return [...findings, ...found.flat()];
}
