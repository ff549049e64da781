/** Postgres: each service's schema, migrations, tables and rights, as the service itself sees them. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { checkSchema, type MigrationFolder, SchemaMissingError } from '@rastro/event-store';
import { connectPostgres, type Sql } from '@rastro/runtime';
import { roleOf, roleUrl } from '../database.ts';
import { services } from '../services.ts';
import { failed, type Finding, inTime, ok, startAgain, wordsOf } from './finding.ts';

/** Logs in as each service's role, with the password that the service is given. */
export async function lookAtSchemas(
  adminUrl: string,
  passwordOf: (schema: string) => string,
): Promise<Finding[]> {
  const looks = services.flatMap(({ database }) => {
    if (!database) return [];
    const { schema, folders } = database;
    return lookAtSchema(roleUrl(adminUrl, schema, passwordOf(schema)), schema, folders);
  });
  return Promise.all(looks);
}

async function lookAtSchema(
  url: string,
  schema: string,
  folders: readonly MigrationFolder[],
): Promise<Finding> {
  const about = { check: 'schema', subject: schema };
  const sql = connectPostgres({ url, schema, service: 'rastro doctor', maxConnections: 1 });
  try {
    const tables = await tablesOf(folders);
    await inTime(checkSchema(sql, schema, tables, folders));
    return ok(about, `${tables.length} tables, all migrations, all rights of ${roleOf(schema)}`);
  } catch (error) {
    return judgeSchemaError(schema, error);
  } finally {
    await sql.end({ timeout: 1 });
  }
}

const refusedLogin = new Set(['28P01', '28000']);

export function judgeSchemaError(schema: string, error: unknown): Finding {
  const about = { check: 'schema', subject: schema };
  if (error instanceof SchemaMissingError) {
    return failed(about, `lacks ${error.missing.join(', ')}`, error.command);
  }
  const { code = '' } = error as { code?: string };
  if (!refusedLogin.has(code)) return failed(about, wordsOf(error), startAgain('postgres'));
  const detail = `${roleOf(schema)} cannot log in: ${wordsOf(error)}`;
  return failed(
    about,
    detail,
    `pnpm rastro migrate, with the service's own RASTRO_MASTER_KEY or RASTRO_DB_PASSWORD_${schema.toUpperCase()}`,
  );
}

/** Names of the tables that the migrations make; who dropped one by hand hears of it. */
async function tablesOf(folders: readonly MigrationFolder[]): Promise<string[]> {
  const tables: string[] = [];
  for (const { path } of folders) {
    for (const file of (await readdir(path)).sort()) {
      const text = await readFile(join(path, file), 'utf8');
      for (const [, name] of text.matchAll(/^create table (?:if not exists )?(\w+)/gm)) {
        if (name !== undefined) tables.push(name);
      }
      for (const [, name] of text.matchAll(/^drop table (?:if exists )?(\w+)/gm)) {
        tables.splice(tables.indexOf(name ?? ''), 1);
      }
    }
  }
  return tables;
}

/** What was said and not yet heard. */
export interface OutboxFacts {
  readonly schema: string;
  readonly waiting: number;
  /** Of the oldest; null where nothing waits. */
  readonly ageSeconds: number | null;
}

export async function gatherOutboxes(sql: Sql): Promise<OutboxFacts[]> {
  const facts: OutboxFacts[] = [];
  for (const { database } of services) {
    if (!database || database.folders.length < 2) continue;
    const { schema } = database;
    const [row] = await inTime(sql<{ waiting: number; ageSeconds: number | null }[]>`
      select count(*) as waiting, (
        select extract(epoch from now() - recorded_at)::float8 from ${sql(schema)}.events
        where global_position = (select min(event_position) from ${sql(schema)}.outbox)
        ) as age_seconds
      from ${sql(schema)}.outbox`);
    facts.push({ schema, waiting: row?.waiting ?? 0, ageSeconds: row?.ageSeconds ?? null });
  }
  return facts;
}

/** A round of the relay takes milliseconds; a minute means that nobody relays. */
const outboxPatienceSeconds = 60;

export function judgeOutbox({ schema, waiting, ageSeconds }: OutboxFacts): Finding {
  const about = { check: 'outbox', subject: schema };
  const isLate = ageSeconds !== null && ageSeconds > outboxPatienceSeconds;
  if (!isLate) return ok(about, `${waiting} to be published`);
  const service = services.find(({ database }) => database?.schema === schema)?.name ?? schema;
  const age = `${Math.round(ageSeconds)} s`;
  return failed(about, `${waiting} events are not published, since ${age}`, startAgain(service));
}
