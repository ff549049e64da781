/** `rastro <command>`: exit code 0 fine, 1 found something or failed, 2 misuse. */
import { existsSync } from 'node:fs';
import { ConfigError } from '@rastro/runtime';
import { Command, CommanderError } from 'commander';
import { CatalogApiError } from '../catalog-client.ts';
import { CatalogFileError } from '../catalog-yaml.ts';
import { addAsyncApiCommand } from './commands/asyncapi.ts';
import { addCatalogCommands } from './commands/catalog.ts';
import { addClicksCommand } from './commands/clicks.ts';
import { addConversionsCommands } from './commands/conversions.ts';
import { addDatabaseCommands } from './commands/database.ts';
import { addDeadCommands } from './commands/dead.ts';
import { addDoctorCommand } from './commands/doctor.ts';
import { addEnvCommand } from './commands/env.ts';
import { addFunnelCommands } from './commands/funnel.ts';
import { addNatsCommands } from './commands/nats.ts';
import { addPaymentsCommands } from './commands/payments.ts';
import { addRebuildCommand } from './commands/rebuild.ts';
import { addRepublishCommand } from './commands/republish.ts';
import { addRetentionCommand } from './commands/retention.ts';
import { addUpCommand } from './commands/up.ts';

// What docker compose reads, the command line reads too.
if (existsSync('.env')) process.loadEnvFile('.env');

const program = new Command('rastro')
  .description(
    'Follows an ad click to a paid, delivered order and tells Meta about it exactly once.',
  )
  .showHelpAfterError('(rastro --help lists the commands)')
  .exitOverride();

addUpCommand(program);
addCatalogCommands(program);
addDatabaseCommands(program);
addRebuildCommand(program);
addRetentionCommand(program);
addRepublishCommand(program);
addEnvCommand(program);
addDoctorCommand(program);
addDeadCommands(program);
addClicksCommand(program);
addPaymentsCommands(program);
addConversionsCommands(program);
addFunnelCommands(program);
addNatsCommands(program);
addAsyncApiCommand(program);

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

/** Commander has already printed its own. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  process.stderr.write(`${(error as Error).message}\n`);
  if (error instanceof CatalogApiError) return error.isCallersFault ? 2 : 1;
  return error instanceof ConfigError || error instanceof CatalogFileError ? 2 : 1;
}
