import { join, resolve } from 'node:path';
import { decoder, WorkspaceId } from '@rastro/events';
import { workspaceDurable } from '@rastro/messaging';
import { reloadNats } from '@rastro/servers';
import type { Command } from 'commander';
import { readHouseConfig } from '../../config.ts';
import { findRunning } from '../../running.ts';
import {
  addCredential,
  type CredentialFolders,
  listCredentials,
  revokeCredentials,
} from '../../workspace-credentials.ts';
import { misuse, printJson, printRows, say } from '../output.ts';

interface Options {
  readonly revoke?: true | string;
  readonly serverFolder?: string;
  readonly json?: boolean;
}

export function addNatsCommands(program: Command): void {
  program
    .command('nats')
    .description('who may log in to NATS from outside')
    .command('credentials [workspace]')
    .description(
      'lists who may log in; with a workspace, makes credentials for a bot of its own, limited to it',
    )
    .option('--revoke [public-key]', 'ends all credentials of the workspace, or one')
    .option(
      '--server-folder <folder>',
      'where the server includes workspaces.conf from (docker compose: infra/nats/workspaces)',
    )
    .option('--json')
    .action(credentials);
}

const decodeWorkspace = decoder(WorkspaceId);

async function credentials(workspace: string | undefined, options: Options): Promise<void> {
  const { dataDir, natsUrl } = readHouseConfig(process.env);
  const { serverFolder, revoke, json = false } = options;
  const own = join(dataDir, 'nats');
  const folders: CredentialFolders = {
    serverFolder: serverFolder === undefined ? own : resolve(serverFolder),
    seedFolder: join(dataDir, 'credentials'),
  };
  if (workspace === undefined) {
    if (revoke !== undefined) misuse('name the workspace whose credentials are to end');
    return list(folders, json);
  }
  if (natsUrl !== undefined && serverFolder === undefined) {
    misuse(
      'NATS_URL names a server that we did not start: say with --server-folder what it includes',
    );
  }
  if (!decodeWorkspace(workspace).ok) misuse(`${workspace} is no name of a workspace`);
  const told = async (): Promise<string> => {
    if (folders.serverFolder === own && (await reloadNats(own))) return 'The server knows.';
    return `The server knows once it reads ${folders.serverFolder} again: ${
      serverFolder === undefined ? 'at its next start' : 'send it SIGHUP, twice'
    }.`;
  };
  if (revoke !== undefined) {
    const publicKey = revoke === true ? {} : { publicKey: revoke };
    const revoked = revokeCredentials(folders, { workspace, ...publicKey });
    const words = revoked.length > 0 ? await told() : 'There were none.';
    if (json) printJson(revoked);
    else say(`${revoked.length} credentials of ${workspace} revoked. ${words}`);
    if (revoked.length === 0) process.exitCode = 1;
    return;
  }
  const createdAt = new Date().toISOString();
  const { credential, seedFile } = addCredential(folders, { workspace, createdAt });
  const words = await told();
  if (json) return printJson({ ...credential, seedFile });
  const server = serverOf(natsUrl ?? findRunning(dataDir)?.natsUrl);
  say(
    [
      `Credentials of workspace ${workspace}: ${seedFile}`,
      'Whoever has this file is that workspace; give it to its bot and to nobody else.',
      words,
      '',
      'Try it (examples/external-bot/README.md):',
      `  NATS_URL=${server} NATS_SEED_FILE=${seedFile} RASTRO_WORKSPACE=${workspace} \\`,
      '    BOT_ID=… BOT_TOKEN=… PRODUCT_ID=… node examples/external-bot/bot.js',
      `It reads with the durable consumer ${workspaceDurable(workspace)} of stream COMMERCE.`,
    ].join('\n'),
  );
}

function list(folders: CredentialFolders, json: boolean): void {
  const all = listCredentials(folders);
  if (json) printJson(all);
  else printRows(all.map((one) => ({ ...one })));
}

/** Without our own user and password. */
function serverOf(natsUrl: string | undefined): string {
  if (natsUrl === undefined) return 'nats://…:4222';
  return `nats://${natsUrl.split(',')[0]?.replace(/^.*[@/]/, '') ?? ''}`;
}
