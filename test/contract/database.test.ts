/**
 * Goal: what `rastro migrate`, `grant` and `retention` say they would do is what they do, all of it
 * and no more, and doing it again changes nothing.
 * Method: the commands as processes against an empty Postgres; the printed SQL is run by hand and
 * must leave nothing for `migrate` to do.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { repository } from '@rastro/infra/services';
import { connectPostgres } from '@rastro/runtime';
import { startTestServers } from '@rastro/testing';
import t from 'tap';

const servers = await startTestServers({ postgres: true });
t.teardown(() => servers[Symbol.asyncDispose]());
const postgresUrl = servers.postgres.url;
const sql = connectPostgres({ url: postgresUrl, schema: 'public', service: 'test' });
t.teardown(() => sql.end({ timeout: 1 }));
const password = 'a-password-of-the-role';

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function rastro(...args: string[]): Promise<Ended> {
  const env = {
    PATH: process.env['PATH'],
    POSTGRES_URL: postgresUrl,
    RASTRO_DATA_DIR: servers.folder,
    RASTRO_DB_PASSWORD_TRACKING: password,
  };
  const command = [join(repository, 'infra/cli/main.ts'), ...args];
  try {
    return { code: 0, ...(await promisify(execFile)(process.execPath, command, { env })) };
  } catch (error) {
    return error as Ended;
  }
}

/** Everything that a schema or a right leaves in the catalog. */
async function catalog(): Promise<unknown> {
  const [row] = await sql`
    select
      (select json_agg(nspname || coalesce(nspacl::text, '') order by nspname)
       from pg_namespace where nspname !~ '^pg_') as schemas,
      (select json_agg(relnamespace::regnamespace || '.' || relname || coalesce(relacl::text, '')
         order by relnamespace::regnamespace::text, relname)
       from pg_class where relnamespace::regnamespace::text !~ '^(pg_|information_schema)') as tables,
      (select json_agg(rolname order by rolname) from pg_roles where rolname !~ '^pg_') as roles`;
  return row;
}

await t.test('the printed SQL is all that migrate would do', async (t) => {
  const empty = await catalog();
  const { code, stdout } = await rastro('migrate', '--dry-run');
  t.equal(code, 0);
  t.strictSame(await catalog(), empty, 'a dry run changes nothing');
  t.notMatch(stdout, /password/i);
  for (const schema of ['catalog', 'tracking', 'payments', 'funnel', 'delivery', 'capi'])
    t.match(stdout, new RegExp(`create schema "${schema}"[^]*create role "rastro_${schema}"`));

  const connection = await sql.reserve();
  await connection.unsafe(stdout).simple();
  connection.release();
  const byHand = await catalog();
  const migrated = await rastro('migrate');
  t.match(migrated, { code: 0, stdout: 'Everything is up to date.\n' });
  t.strictSame(await catalog(), byHand, 'nothing was left to do');

  const again = await rastro('migrate', '--dry-run');
  t.notMatch(again.stdout, /create |insert into /, 'only the rights are given again');
  const role = new URL(postgresUrl);
  role.username = 'rastro_tracking';
  role.password = password;
  const tracking = connectPostgres({ url: role.href, schema: 'tracking', service: 'test' });
  t.strictSame([...(await tracking`select 1 from sessions`)], []);
  await tracking.end();
});

await t.test('grant gives one role its rights, and knows which there are', async (t) => {
  const before = await catalog();
  await sql`revoke delete on tracking.sessions from rastro_tracking`;
  await sql`revoke usage on sequence tracking.event_log_position from rastro_tracking`;
  const [dry, other, unknown] = await Promise.all([
    rastro('grant', 'rastro_tracking', '--dry-run'),
    rastro('grant', 'rastro_capi'),
    rastro('grant', 'nonsense'),
  ]);
  t.match(dry, { code: 0, stdout: /all sequences in schema "tracking" to "rastro_tracking";/ });
  t.notMatch(dry.stdout, /rastro_capi/);
  t.match(other, { code: 0, stdout: /rights granted/ });
  t.match(unknown, { code: 2, stderr: /no role nonsense; there are: .*rastro_tracking/ });
  t.notSame(await catalog(), before, 'nothing of tracking was granted yet');
  t.match(await rastro('grant', 'rastro_tracking'), { code: 0 });
  t.match(await rastro('grant', 'rastro_tracking'), { code: 0 }, 'safe to run again');
  t.strictSame(await catalog(), before);
});

await t.test('retention is run now, or told', async (t) => {
  const [dry, wrong] = await Promise.all([
    rastro('retention', '--dry-run'),
    rastro('retention', '--dry-run', '--nonsense'),
  ]);
  t.match(dry, { code: 0, stdout: 'Nothing is older than it is to be kept.\n' });
  t.match(wrong, { code: 2 });
  const { code, stdout } = await rastro('retention', '--json');
  t.equal(code, 0);
  t.strictSame(JSON.parse(stdout), { outcome: 'done', droppedMonths: [], truncatedEvents: 0 });
});
