/**
 * Goal: `rastro conversions quality` shows how Meta judges each pixel's events, or why nobody knows,
 * and says by its exit code whether something is below goal.
 * Method: the real command on a real Postgres with readings as capi-dispatcher stores them; for
 * `--refresh` the test answers in the dispatcher's place.
 */
import { join } from 'node:path';
import { services } from '@rastro/infra/services';
import { eventually, migratedDatabase, startTestServers } from '@rastro/testing';
import t from 'tap';
import { runRastro } from '../support/rastro-process.ts';

await using stack = new AsyncDisposableStack();
const servers = stack.use(await startTestServers({ postgres: true }));
const folders = services.find(({ name }) => name === 'capi-dispatcher')?.database?.folders ?? [];
const { sql } = stack.use(await migratedDatabase(servers, { schema: 'capi', folders }));

const ipv6 = {
  name: 'Update your IPv4 IP addresses to IPv6 IP addresses',
  description: 'Your server sends IPv4.',
  solution: 'Be reached over IPv6.',
  percentage: 59.5,
  affected: 18_930,
  total: 31_830,
};

async function seed(): Promise<void> {
  await sql`insert into pixels (workspace_id, pixel_id) values
    ('demo', '1'), ('demo', '2'), ('demo', '3'), ('other', '4')`;
  await sql`
    insert into quality_reads (workspace_id, pixel_id, next_at, asked_at, outcome, reason, read_at)
    values
      ('demo', '1', now() + interval '6 hours', now(), 'read', null, '2026-11-20T10:00:00Z'),
      ('demo', '2', now() + interval '1 day', now(), 'refused', 'code 200/–: (#200) Permissions error',
        null),
      ('other', '4', now() + interval '6 hours', now(), 'read', null, '2026-11-20T11:00:00Z')`;
  const keys = [{ identifier: 'fbc', percentage: 98.2 }];
  const joins = [{ key: 'event_id', browser: 100, server: 100, joined: 81.5 }];
  const put = (
    pixel: string,
    readAt: string,
    event: string,
    score: number,
    coverage: number,
  ) => sql`
    insert into dataset_quality values (${pixel === '4' ? 'other' : 'demo'}, ${pixel},
      ${readAt.slice(0, 10)}, ${event}, ${readAt}, ${score}, ${sql.json(keys)}, ${coverage}, 75,
      ${sql.json(joins)}, 'real_time', 12, ${sql.json([ipv6])})`;
  await put('1', '2026-11-20T10:00:00Z', 'Purchase', 6.2, 81.5);
  await put('1', '2026-11-19T10:00:00Z', 'Purchase', 1.1, 10);
  await put('1', '2026-11-20T10:00:00Z', 'Lead', 2, 10);
  await put('4', '2026-11-20T11:00:00Z', 'PageView', 5.9, 81.5);
}

async function quality(...args: string[]) {
  const environment = {
    POSTGRES_URL: servers.postgres.url,
    RASTRO_DATA_DIR: join(servers.folder, 'data'),
  };
  const command = ['infra/cli/main.ts', 'conversions', 'quality', ...args];
  const rastro = runRastro(command, environment);
  const code = await rastro.exit();
  return { code, output: rastro.output() };
}

await t.test('nothing known is nothing found', async (t) => {
  t.same(await quality(), { code: 0, output: 'nothing\n' });
});

await seed();

await t.test(
  'for people: figures, goals, what Meta would mend, and why there is none',
  async (t) => {
    const { code, output } = await quality('--workspace', 'demo');
    t.equal(code, 0, output);
    t.match(
      output,
      /demo +1 +Purchase +6\.2 +81\.5 % \(goal 75 %\) +81\.5 % +real_time +12 % +2026-11-20T10:00Z/,
    );
    t.match(output, /demo +2 +never +this token may not read: code 200/);
    t.match(output, /demo +3 +never +never asked: no access token/);
    t.match(output, 'keys: fbc 98.2 %');
    t.match(output, 'event_id (browser 100 %, server 100 %, joined 81.5 %)');
    t.match(output, `${ipv6.name} (59.5 %: 18930 of 31830 events)`);
    t.match(output, "Meta's solution: Be reached over IPv6.");
    t.match(output, 'Meta recommends a match quality of 6.0 and more.');
    t.notMatch(output, /1\.1/, 'only the last reading');
  },
);

await t.test('below goal is 1, of what is sent from here alone', async (t) => {
  const { code, output } = await quality('--pixel', '4', '--json');
  t.equal(code, 1, output);
  t.match(JSON.parse(output), [
    {
      workspaceId: 'other',
      pixelId: '4',
      readAt: '2026-11-20T11:00:00.000Z',
      outcome: 'read',
      events: [
        { eventName: 'PageView', compositeScore: 5.9, isBelowGoal: true, diagnostics: [ipv6] },
      ],
    },
  ]);
  const lead = await quality('--pixel', '1', '--json');
  t.equal(lead.code, 0, "a shop's other events are not judged");
  t.match(JSON.parse(lead.output), [
    { events: [{ eventName: 'Lead' }, { eventName: 'Purchase' }] },
  ]);
});

await t.test('--refresh waits until a dispatcher has asked', async (t) => {
  const refreshed = quality('--pixel', '2', '--refresh');
  await eventually(
    async () => {
      const { count } = await sql`
        update quality_reads set asked_at = now(), next_at = now() + interval '1 day',
          reason = 'asked once more'
        where pixel_id = '2' and next_at <= now()`;
      if (count === 0) throw new Error('nobody wants it asked');
    },
    { timeoutMs: 60_000 },
  );
  const { code, output } = await refreshed;
  t.equal(code, 0, output);
  t.match(output, 'asked once more');
});
