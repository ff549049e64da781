/** Schemas, roles and grants of all services, from one admin address. */
import { eventStoreMigrations, grantStatements, migrate, migrationSql } from '@rastro/event-store';
import { deriveSecret, type Environment } from '@rastro/runtime';
import { services } from './services.ts';

export const roleOf = (schema: string): string => `rastro_${schema}`;

/** A password per role: given as `RASTRO_DB_PASSWORD_<SCHEMA>`, else derived from the master key. */
export function rolePassword(schema: string, masterKey: string, environment: Environment): string {
  const given = environment[`RASTRO_DB_PASSWORD_${schema.toUpperCase()}`];
  return given || deriveSecret(Buffer.from(masterKey, 'base64'), `postgres/${schema}`);
}

/** The address with which one service logs in as its own role. */
export function roleUrl(adminUrl: string, schema: string, password: string): string {
  const url = new URL(adminUrl);
  url.username = roleOf(schema);
  url.password = password;
  return url.href;
}

/**
 * Brings every schema up to date; safe to run again and by several at once.
 * @returns the migrations that ran, for people to read.
 * @throws {MigrationError}
 */
export async function migrateAll(options: {
  adminUrl: string;
  passwordOf: (schema: string) => string;
}): Promise<string[]> {
  const applied: string[] = [];
  for (const { database } of services) {
    if (!database) continue;
    const { schema, folders } = database;
    const done = await migrate({
      adminUrl: options.adminUrl,
      schema,
      folders,
      role: roleOf(schema),
      rolePassword: options.passwordOf(schema),
    });
    applied.push(...done);
  }
  return applied;
}

/** What `migrateAll` would run, as SQL without passwords; changes nothing. */
export async function migrationSqlOfAll(adminUrl: string): Promise<string[]> {
  const statements: string[] = [];
  for (const { database } of services) {
    if (!database) continue;
    const { schema, folders } = database;
    statements.push(...(await migrationSql({ adminUrl, schema, folders, role: roleOf(schema) })));
  }
  return statements;
}

/** Roles of the services, in the order of the services. */
export const roles: readonly string[] = services.flatMap(({ database }) =>
  database ? [roleOf(database.schema)] : [],
);

/** Grants as SQL, of one role or of all. */
export function grantsOf(role?: string): string[] {
  return services.flatMap(({ database }) => {
    if (!database || (role !== undefined && role !== roleOf(database.schema))) return [];
    return grantStatements({ schema: database.schema, role: roleOf(database.schema) });
  });
}

/** Schemas that have events of their own to republish. */
export function eventSourcedSchemas(): string[] {
  return services.flatMap(({ database }) =>
    database?.folders.includes(eventStoreMigrations) ? database.schema : [],
  );
}
