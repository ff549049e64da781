import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { applyCatalog, showCatalog } from '../../catalog-client.ts';
import { parseCatalogYaml } from '../../catalog-yaml.ts';
import { connection } from '../connection.ts';
import { printJson, printRows, say } from '../output.ts';

export function addCatalogCommands(program: Command): void {
  const catalog = program
    .command('catalog')
    .description('pools, bots, products, funnels, accounts');
  catalog
    .command('apply <file>')
    .description('creates and updates what the file names; a wrong file changes nothing')
    .option('--dry-run', 'only says what would change')
    .option('--prune', 'also removes entries of the workspace that the file does not name')
    .option('--json')
    .action(apply);
  catalog
    .command('show <workspace>')
    .description('what is set up, without the secrets')
    .option('--json')
    .action(show);
}

interface ApplyOptions {
  readonly dryRun?: boolean;
  readonly prune?: boolean;
  readonly json?: boolean;
}

async function apply(
  fileName: string,
  { dryRun = false, prune = false, json = false }: ApplyOptions,
) {
  const { consoleUrl, secrets, config } = connection();
  const text = readFileSync(fileName, 'utf8');
  const file = parseCatalogYaml({ text, fileName, environment: config.environment });
  const api = { url: consoleUrl, apiKey: secrets.apiKey };
  const { masterKey } = secrets;
  const changes = await applyCatalog(api, file, { masterKey, dryRun, prune });
  if (json) return printJson(changes);
  if (changes.length > 0) printRows(changes.map((change) => ({ ...change })));
  return say(summary(changes.length, dryRun));
}

function summary(count: number, isDryRun: boolean): string {
  if (count === 0) return 'Nothing to change.';
  return isDryRun ? `${count} entries would change.` : `${count} entries changed.`;
}

async function show(workspaceId: string, { json = false }: { json?: boolean }) {
  const { consoleUrl, secrets } = connection();
  const entries = await showCatalog({ url: consoleUrl, apiKey: secrets.apiKey }, workspaceId);
  if (json) return printJson(entries);
  return printRows(
    entries.map(({ kind, id, version, changedAt, data }) => ({
      kind,
      id,
      version,
      changedAt,
      state: data === null ? 'removed' : 'active',
    })),
  );
}
