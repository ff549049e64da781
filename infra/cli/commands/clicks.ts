import { connectPostgres } from '@rastro/runtime';
import { type Command, InvalidArgumentError } from 'commander';
import { connection } from '../connection.ts';
import { printJson, printRows } from '../output.ts';

export function addClicksCommand(program: Command): void {
  program
    .command('clicks')
    .description('clicks by pool, bot and class of traffic, counted from events')
    .option('--pool <id>', 'of this pool only')
    .option('--since <YYYY-MM-DD>', 'from this day on (UTC)', day)
    .option('--json')
    .action(list);
}

interface ListOptions {
  readonly pool?: string;
  readonly since?: string;
  readonly json?: boolean;
}

async function list({ pool, since, json = false }: ListOptions): Promise<void> {
  const url = connection().postgresUrl();
  const sql = connectPostgres({ url, schema: 'tracking', service: 'rastro clicks' });
  try {
    const rows = await sql<ClickRow[]>`
      select workspace_id as workspace, pool_id as pool, bot_id as bot, traffic_class as class,
        sum(clicks)::bigint as clicks
      from click_counts
      where (${pool ?? null}::text is null or pool_id = ${pool ?? null})
        and (${since ?? null}::date is null or day >= ${since ?? null}::date)
      group by 1, 2, 3, 4
      order by 1, 2, 3, 4`;
    if (json) printJson(rows);
    else printRows(rows);
  } finally {
    await sql.end();
  }
}

interface ClickRow {
  readonly [column: string]: string | number;
  readonly workspace: string;
  readonly pool: string;
  readonly bot: string;
  readonly class: string;
  readonly clicks: number;
}

/** @throws {InvalidArgumentError} for what is no day of the calendar. */
function day(text: string): string {
  const time = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(text) : Number.NaN;
  const isDay = !Number.isNaN(time) && new Date(time).toISOString().startsWith(text);
  if (!isDay) throw new InvalidArgumentError('write a day as 2026-11-20');
  return text;
}
