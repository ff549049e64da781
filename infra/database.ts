/** Schemas, roles and grants of all services, from one admin address. */
import { eventStoreMigrations, grantStatements, migrate } from '@rastro/event-store';
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

/** All grants as SQL, for those who run them themselves. */
export function allGrants(): string[] {
  return services.flatMap(({ database }) =>
    database ? grantStatements({ schema: database.schema, role: roleOf(database.schema) }) : [],
  );
}

/** Schemas that have events of their own to republish. */
export function eventSourcedSchemas(): string[] {
  return services.flatMap(({ database }) =>
    database?.folders.includes(eventStoreMigrations) ? database.schema : [],
  );
}
