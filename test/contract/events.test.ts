/**
 * Goal: what is documented of the events is what the code says, and no type is left out.
 * Method: the generated documents compared with those in the repository.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventDefinitions, requestDefinitions } from '@rastro/events';
import { asyncApiFile, asyncApiYaml } from '@rastro/infra/asyncapi';
import { repository, services } from '@rastro/infra/services';
import { Ajv } from 'ajv';
import asyncApiSpecs from '@asyncapi/specs';
import { workspaceAccount } from '@rastro/messaging';
import t from 'tap';
import { parse } from 'yaml';

const architecture = readFileSync(join(repository, 'docs/architecture.md'), 'utf8');

await t.test('docs/asyncapi.yaml is what `pnpm docs:asyncapi` would write', (t) => {
  t.equal(readFileSync(asyncApiFile, 'utf8'), asyncApiYaml());
  t.end();
});

await t.test('it is an AsyncAPI 3 document', (t) => {
  const schema: object = asyncApiSpecs.schemas['3.0.0'];
  const validate = new Ajv({
    strict: false,
    validateFormats: false,
    meta: false,
    validateSchema: false,
  }).compile(schema);
  t.ok(validate(parse(asyncApiYaml())), JSON.stringify(validate.errors?.slice(0, 3)));
  t.end();
});

await t.test(
  'every event has a row in the table of docs/architecture.md, with its producers',
  (t) => {
    for (const { type, aggregate, producers } of Object.values(eventDefinitions)) {
      const row = architecture.split('\n').find((line) => line.startsWith(`| \`${type}\` `));
      t.ok(row, `${type} has a row`);
      t.match(row, aggregate, `${type} is of ${aggregate}`);
      for (const producer of producers) t.match(row, producer, `${type} is said by ${producer}`);
    }
    t.end();
  },
);

await t.test('what is for us and for operators is no workspace’s own program’s to ask', (t) => {
  const exported = readFileSync(join(repository, 'packages/servers/nats/exports.conf'), 'utf8');
  const account = workspaceAccount('demo', ['UKEY']);
  const theirs = ['funnel.start', 'funnel.step', 'payments.create', 'payments.revalidate'];
  for (const { subject } of Object.values(requestDefinitions)) {
    const isTheirs = theirs.includes(subject);
    t.equal(exported.includes(`"workspace.*.${subject}"`), isTheirs, `${subject} is exported`);
    t.equal(account.includes(`${subject}"`), isTheirs, `${subject} is imported`);
  }
  t.end();
});

await t.test('every request has a row, and every producer is a service', (t) => {
  for (const { subject } of Object.values(requestDefinitions))
    t.match(architecture, `\`${subject}\``);
  const names = services.map(({ name }) => name);
  for (const { type, producers } of Object.values(eventDefinitions)) {
    for (const producer of producers) t.ok(names.includes(producer), `${type}: ${producer}`);
  }
  t.end();
});
