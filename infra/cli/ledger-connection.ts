/** The send ledger from the command line: Postgres always, NATS only where the catalog matters. */
import { type Ledger, openLedger } from '@rastro/capi-dispatcher/ledger';
import type { PoolsOf } from '@rastro/capi-dispatcher/ledger-judgement';
import { Catalog, followCatalog } from '@rastro/messaging';
import { connectPostgres } from '@rastro/runtime';
import { type Connection, connection } from './connection.ts';

/** Closes what it opened when the work is done. */
export async function withLedger<T>(work: (ledger: Ledger) => Promise<T>): Promise<T> {
  const found = connection();
  const url = found.postgresUrl();
  await using stack = new AsyncDisposableStack();
  const sql = connectPostgres({ url, schema: 'capi', service: 'rastro conversions' });
  stack.defer(() => sql.end({ timeout: 5 }));
  const { graph, publicOrigin } = found;
  const ledger = openLedger({
    sql,
    graphUrl: `${graph.url}/${graph.version}`,
    deliveryUrl: `${publicOrigin}/delivery/`,
    poolsOf: poolsOf(found, stack),
  });
  try {
    return await work(ledger);
  } catch (error) {
    throw explained(error);
  }
}

function poolsOf({ nats: connect }: Connection, stack: AsyncDisposableStack): PoolsOf {
  let followed: ReturnType<PoolsOf> | undefined;
  async function follow(): ReturnType<PoolsOf> {
    const nats = stack.use(await connect());
    const catalog = new Catalog();
    stack.use(await followCatalog(nats, { catalog }));
    return (workspaceId) => catalog.itemsOf('pool', workspaceId);
  }
  return () => (followed ??= follow());
}

/** Table, column or schema that is not there. */
const missing = new Set(['42P01', '42703', '3F000']);

function explained(error: unknown): unknown {
  const { code, message } = error as { code?: string; message: string };
  if (code === undefined || !missing.has(code)) return error;
  return new Error(
    `The ledger is not there or older than this program (${message}): rastro migrate`,
  );
}
