import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { checkBots } from '../../catalog-bots.ts';
import { applyCatalog, type ChangeView, showCatalog } from '../../catalog-client.ts';
import { type CatalogText, readCatalogText } from '../../catalog-yaml.ts';
import { connection } from '../connection.ts';
import { printJson, printRows, say, sayAside } from '../output.ts';

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
  const { consoleUrl, telegramApiUrl, secrets, config } = connection();
  const text = readFileSync(fileName, 'utf8');
  const catalog = readCatalogText({ text, fileName, environment: config.environment });
  const api = { url: consoleUrl, apiKey: secrets.apiKey };
  const { masterKey } = secrets;
  // What would change tells which bots to ask Telegram about, before anything does.
  const planned = await applyCatalog(api, catalog.file, { masterKey, dryRun: true, prune });
  await checkChangedBots(telegramApiUrl, catalog, planned, json ? sayAside : say);
  const isToApply = !dryRun && planned.length > 0;
  const changes = isToApply ? await applyCatalog(api, catalog.file, { masterKey, prune }) : planned;
  if (json) return printJson(changes);
  if (changes.length > 0) printRows(changes.map((change) => ({ ...change })));
  return say(summary(changes.length, dryRun));
}

/** Says whose the tokens are. @throws {CatalogFileError} naming the lines of those that are wrong */
async function checkChangedBots(
  telegramApiUrl: string,
  { file, errorOf }: CatalogText,
  planned: readonly ChangeView[],
  tell: (line: string) => void,
): Promise<void> {
  const changed = planned.filter(({ kind, change }) => kind === 'bot' && change !== 'removed');
  const ids = new Set(changed.map(({ id }) => id));
  const { lines, problems } = await checkBots(telegramApiUrl, file, ids);
  for (const line of lines) tell(line);
  if (problems.length === 0) return;
  throw errorOf(problems.map(({ botId: id, ...rest }) => ({ section: 'bots', id, ...rest })));
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
