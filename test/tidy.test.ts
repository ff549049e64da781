/**
 * Goal: the rules of the house that no linter knows stay true.
 * Method: the tracked files, read as text.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { repository, services } from '@rastro/infra/services';
import t from 'tap';
import { parse } from 'yaml';

const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  cwd: repository,
  encoding: 'utf8',
})
  .split('\n')
  .filter((file) => file !== '' && existsSync(join(repository, file)));
const read = (file: string): string => readFileSync(join(repository, file), 'utf8');
const matching = (pattern: RegExp): string[] => files.filter((file) => pattern.test(file));
const code = matching(/\.(ts|eta|js|sh|sql|css)$/);

await t.test('every service has the same files, so that who knows one knows seven', (t) => {
  const wanted = ['package.json', 'README.md', 'src/main.ts', 'src/config.ts', 'src/service.ts'];
  for (const { name, database } of services) {
    const has = (path: string): boolean =>
      files.some((file) => file.startsWith(`services/${name}/${path}`));
    for (const path of [...wanted, 'src/core/', 'src/adapters/', 'test/'])
      t.ok(has(path), `${name}: ${path}`);
    t.ok(has('src/routes.ts') || has('src/handlers.ts'), `${name}: an edge`);
    t.equal(has('migrations/'), database !== null, `${name}: migrations`);
  }
  t.end();
});

await t.test('only one file acknowledges messages', (t) => {
  const acking = matching(/^(packages|services)\/.*\/src\/.*\.ts$/).filter((file) =>
    /\.(ack|ackAck|nak|term)\(/.test(read(file)),
  );
  t.same(acking, ['packages/messaging/src/consume.ts']);
  t.end();
});

await t.test('files are short enough to be read, and named for what they are', (t) => {
  for (const file of code) {
    t.ok(read(file).split('\n').length <= 301, `${file} has at most 300 lines`);
    t.notMatch(
      file,
      /(^|[/-])(utils?|helpers?|common|(?<!events-)manager|misc)[./-]/,
      `${file} says what it is`,
    );
  }
  t.end();
});

await t.test('nothing is left open, skipped or swallowed in the text', (t) => {
  const own = 'test/tidy.test.ts';
  for (const file of code.filter((name) => name !== own)) {
    const text = read(file);
    t.notMatch(text, /\b(TODO|FIXME|XXX|HACK)\b/, file);
    t.notMatch(text, /\.(skip|only|todo)\(|\b(skip|todo): true/, file);
    t.notMatch(text, /catch *(\([a-z_]*\))? *\{ *\}/, file);
  }
  t.end();
});

await t.test('a test opens with its goal and method', (t) => {
  for (const file of matching(/\.test\.ts$/)) {
    t.match(read(file), /^\/\*\*[\s\S]{0,400}?Goal:[\s\S]{0,800}?Method:/, file);
  }
  t.end();
});

await t.test('libraries have one exact version, in the catalog', (t) => {
  const { catalog } = parse(read('pnpm-workspace.yaml')) as { catalog: Record<string, string> };
  for (const [name, version] of Object.entries(catalog)) t.match(version, /^\d+\.\d+\.\d+$/, name);
  const used = new Set<string>();
  for (const file of matching(/(^|\/)package\.json$/)) {
    const { dependencies = {}, devDependencies = {} } = JSON.parse(read(file)) as Record<
      string,
      Record<string, string>
    >;
    for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies })) {
      t.equal(
        version,
        name.startsWith('@rastro/') ? 'workspace:*' : 'catalog:',
        `${name} in ${file}`,
      );
      used.add(name);
    }
  }
  t.same(
    Object.keys(catalog).filter((name) => !used.has(name)),
    [],
    'the catalog names nothing unused',
  );
  t.end();
});

await t.test('links between documents lead somewhere', (t) => {
  for (const file of matching(/\.md$/)) {
    for (const [, link = ''] of read(file).matchAll(/\]\(([^)#\s]+)[^)]*\)/g)) {
      if (/^[a-z]+:/.test(link)) continue;
      t.ok(existsSync(resolve(repository, dirname(file), link)), `${file} → ${link}`);
    }
  }
  t.end();
});

await t.test('decisions are numbered without gaps and say context, decision, consequences', (t) => {
  const decisions = matching(/^docs\/decisions\/\d{3}-[a-z0-9-]+\.md$/);
  t.same(
    decisions.map((file) => Number(/\/(\d{3})-/.exec(file)?.[1])),
    decisions.map((_, index) => index + 1),
  );
  for (const file of decisions)
    t.match(read(file), /## Context[\s\S]+## Decision[\s\S]+## Consequences/, file);
  t.end();
});
