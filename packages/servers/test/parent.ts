// Run by servers.integration.test.ts as a process of its own: starts the servers named by the
// arguments below the folder given first, says who they are, and waits to be killed.
import { join } from 'node:path';
import { startNats, startPostgres, startRedis } from '../src/index.ts';

const starters = { nats: startNats, postgres: startPostgres, redis: startRedis };
const [folder = '', ...names] = process.argv.slice(2);

const servers: { name: string; pid: number; url: string }[] = [];
for (const [name, start] of Object.entries(starters)) {
  if (!names.includes(name)) continue;
  const { pid, url } = await start({ dataDir: join(folder, name) });
  servers.push({ name, pid, url });
}
console.log(JSON.stringify(servers));
