/**
 * Goal: a database that dies while a connection is being opened fails the query that asked for it,
 * and not the process. Method: a socket that speaks just enough of Postgres' protocol to be reset
 * in the middle of the client's own first query, a moment that a real server cannot be killed in
 * on purpose. What nobody handles fails the test run.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import t from 'tap';
import { connectPostgres } from '../src/postgres.ts';

const authenticationOk = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 0]);
const readyForQuery = Buffer.from([0x5a, 0, 0, 0, 5, 0x49]);

function dieAtFirstQuery(socket: Socket): void {
  socket.once('data', () => {
    socket.write(Buffer.concat([authenticationOk, readyForQuery]));
    socket.once('data', () => socket.resetAndDestroy());
  });
  socket.on('error', () => {});
}

await t.test('a connection that is reset while types are fetched', async (t) => {
  const server = createServer(dieAtFirstQuery).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  const url = `postgres://somebody:something@127.0.0.1:${port}/rastro`;
  const sql = connectPostgres({ url, schema: 'public', service: 'test' });
  t.teardown(() => sql.end({ timeout: 0 }));
  await t.rejects(sql`select 1`, { code: 'ECONNRESET' });
  await t.rejects(
    sql.begin((tx) => tx`select 1`),
    { code: 'ECONNRESET' },
  );
});
