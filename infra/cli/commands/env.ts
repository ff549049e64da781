import { randomBytes } from 'node:crypto';
import type { Command } from 'commander';
import { newSecrets } from '../../secrets.ts';
import { services } from '../../services.ts';
import { say } from '../output.ts';

/** New passwords and keys for every part, as docker-compose.yml names them. */
export function newComposeEnvironment(publicOrigin: string): Record<string, string> {
  const { masterKey, apiKey } = newSecrets();
  // Hex: it stands in addresses and on command lines, where other characters would need escapes.
  const password = (): string => randomBytes(24).toString('hex');
  const databases = services.flatMap(({ database }) =>
    database ? [[`RASTRO_DB_PASSWORD_${database.schema.toUpperCase()}`, password()]] : [],
  );
  return {
    PUBLIC_ORIGIN: publicOrigin,
    SITE_ADDRESS: publicOrigin.startsWith('https:') ? new URL(publicOrigin).hostname : ':80',
    RASTRO_MASTER_KEY: masterKey,
    RASTRO_API_KEY: apiKey,
    NATS_PASSWORD: password(),
    POSTGRES_PASSWORD: password(),
    REDIS_PASSWORD: password(),
    ...(Object.fromEntries(databases) as Record<string, string>),
  };
}

export function addEnvCommand(program: Command): void {
  program
    .command('env')
    .description(
      'prints a new .env for docker compose; keep it, RASTRO_MASTER_KEY opens all secrets',
    )
    .option('--origin <url>', 'where visitors reach it', 'http://localhost')
    .action(({ origin }: { origin: string }) => {
      const lines = Object.entries(newComposeEnvironment(origin));
      say(lines.map(([name, value]) => `${name}=${value}`).join('\n'));
    });
}
