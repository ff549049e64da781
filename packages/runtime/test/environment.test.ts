/** Goal: a wrong environment is explained whole, and never echoes a secret. Method: examples. */
import t from 'tap';
import {
  ConfigError,
  createHttpServer,
  createLogger,
  readEnvironment,
  settings,
} from '../src/index.ts';

const specs = {
  PORT: settings.port(8101),
  NATS_URL: settings.natsUrl(),
  RASTRO_MASTER_KEY: settings.masterKey(),
  RASTRO_API_KEY: settings.apiKey(),
  TRUSTED_PROXIES: settings.trustedProxies(),
  PUBLIC_ORIGIN: settings.publicOrigin(),
};
const good = {
  NATS_URL: 'nats://127.0.0.1:4222',
  RASTRO_MASTER_KEY: Buffer.alloc(32, 1).toString('base64'),
  RASTRO_API_KEY: 'sixteen-letters!',
};

await t.test('defaults fill in, values are parsed, an empty variable counts as unset', (t) => {
  const values = readEnvironment(
    { ...good, PORT: '', PUBLIC_ORIGIN: 'https://go.example.com/' },
    specs,
  );
  t.equal(values.PORT, 8101);
  t.equal(values.PUBLIC_ORIGIN, 'https://go.example.com');
  t.same(values.TRUSTED_PROXIES, ['loopback']);
  t.equal(values.RASTRO_MASTER_KEY.length, 32);
  t.same(readEnvironment({ ...good, TRUSTED_PROXIES: '10.0.0.0/8, ::1' }, specs).TRUSTED_PROXIES, [
    '10.0.0.0/8',
    '::1',
  ]);
  t.end();
});

await t.test('all problems at once, each with the variable and an example', (t) => {
  const wrong = {
    PORT: '70000',
    NATS_URL: 'localhost:4222',
    RASTRO_MASTER_KEY: 'dG9vIHNob3J0',
    PUBLIC_ORIGIN: 'ftp://x',
  };
  try {
    readEnvironment(wrong, specs);
    t.fail('accepted');
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    t.equal(error.problems.length, 5);
    const text = error.message;
    t.match(text, /PORT .*whole number from 0 to 65535; for example PORT=8101/);
    t.match(text, /NATS_URL .*nats:\/\//);
    t.match(text, /RASTRO_MASTER_KEY .*32 bytes in base64, but is 9/);
    t.match(text, /RASTRO_API_KEY .*is not set/);
    t.match(text, /PUBLIC_ORIGIN/);
    t.notMatch(text, /dG9vIHNob3J0/);
  }
  t.end();
});

await t.test(
  'META_GRAPH_URL: shown to people, so it holds no password, and paths are appended',
  (t) => {
    const read = (META_GRAPH_URL: string) =>
      readEnvironment({ META_GRAPH_URL }, { META_GRAPH_URL: settings.metaGraphUrl() })
        .META_GRAPH_URL;
    t.equal(read('https://graph.test:8443/graph/'), 'https://graph.test:8443/graph');
    for (const input of [
      'http://jo:hush@graph.test',
      'http://hush@graph.test',
      'http://:hush@graph.test',
    ])
      t.throws(() => read(input), { message: /META_GRAPH_URL.*no user and no password/ }, input);
    for (const input of ['http://graph.test?key=hush', 'http://graph.test/#hush'])
      t.throws(() => read(input), { message: /META_GRAPH_URL.*must end before/ }, input);
    try {
      read('http://jo:hush@graph.test');
    } catch (error) {
      t.notMatch(String(error), 'hush', 'and it is not echoed');
    }
    t.end();
  },
);

await t.test('TRUSTED_PROXIES: what Fastify would not understand is told at start', (t) => {
  const read = (input: string) =>
    readEnvironment({ ...good, TRUSTED_PROXIES: input }, specs).TRUSTED_PROXIES;
  const all = 'loopback,linklocal, uniquelocal ,173.245.48.0/20,177.10.20.30,2606:4700::/32,::1';
  t.same(
    read(all),
    all.split(',').map((entry) => entry.trim()),
  );
  t.ok(createHttpServer({ log: createLogger({ level: 'silent' }), trustedProxies: read(all) }));
  t.same(read(','), [], 'nobody');
  const wrong = [
    'Loopback',
    'true',
    '1',
    '10.0.0',
    '010.0.0.1',
    '10.0.0.0/33',
    '::1/129',
    '10.0.0.1:80',
  ];
  for (const entry of [...wrong, '0.0.0.0/0', '::/0', '10.0.0.0/', 'fe80::1%eth0', 'edge.example'])
    t.throws(
      () => read(`loopback,${entry}`),
      { message: new RegExp(`TRUSTED_PROXIES.*"${entry}`) },
      entry,
    );
  t.end();
});
