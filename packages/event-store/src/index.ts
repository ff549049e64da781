export { append, appendAll, ConcurrencyError, readStream, withConflictRetry } from './append.ts';
export { firstDeliveries, isFirstDelivery } from './inbox.ts';
export {
  checkSchema,
  eventStoreMigrations,
  grantStatements,
  migrate,
  type MigrateOptions,
  MigrationError,
  type MigrationFolder,
  SchemaMissingError,
} from './migrate.ts';
export { type Publish, republish, startOutboxRelay } from './outbox.ts';
export { type Queryable, type Sql, type Transaction } from './types.ts';
