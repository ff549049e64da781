/** Who may log in to NATS from a workspace: public keys for the server, seeds for the operator. */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { nkeys } from '@nats-io/transport-node';
import { workspaceAccount } from '@rastro/messaging';
import { workspacesFile } from '@rastro/servers';

export interface WorkspaceCredential {
  readonly workspace: string;
  /** An nkey of a user, as the server knows it. */
  readonly publicKey: string;
  readonly createdAt: string;
}

export interface CredentialFolders {
  /** Where the server includes `workspaces.conf` from; nothing in there is secret. */
  readonly serverFolder: string;
  /** Where seeds go, each in a file that only its owner may read. */
  readonly seedFolder: string;
}

const registryFile = 'workspaces.json';

/** Everybody who may log in, oldest first. */
export function listCredentials({ serverFolder }: CredentialFolders): WorkspaceCredential[] {
  try {
    return JSON.parse(readFileSync(join(serverFolder, registryFile), 'utf8')) as never;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** The server keeps the public key alone, so that what lies there lets nobody in. */
export function addCredential(
  folders: CredentialFolders,
  { workspace, createdAt }: { workspace: string; createdAt: string },
): { credential: WorkspaceCredential; seedFile: string } {
  const pair = nkeys.createUser();
  const credential = { workspace, publicKey: pair.getPublicKey(), createdAt };
  const seedFile = seedFileOf(folders, credential);
  mkdirSync(folders.seedFolder, { recursive: true, mode: 0o700 });
  writeFileSync(seedFile, pair.getSeed(), { mode: 0o600, flag: 'wx' });
  pair.clear();
  keep(folders, [...listCredentials(folders), credential]);
  return { credential, seedFile };
}

/** @returns those that may no longer log in: all of a workspace, or the one of a public key. */
export function revokeCredentials(
  folders: CredentialFolders,
  { workspace, publicKey }: { workspace: string; publicKey?: string },
): WorkspaceCredential[] {
  const known = listCredentials(folders);
  const revoked = known.filter(
    (one) => one.workspace === workspace && (publicKey ?? one.publicKey) === one.publicKey,
  );
  if (revoked.length === 0) return [];
  keep(
    folders,
    known.filter((one) => !revoked.includes(one)),
  );
  for (const credential of revoked) rmSync(seedFileOf(folders, credential), { force: true });
  return revoked;
}

const seedFileOf = (
  { seedFolder }: CredentialFolders,
  { workspace, publicKey }: WorkspaceCredential,
): string => join(seedFolder, `${workspace}-${publicKey.slice(-8)}.nk`);

/** The list first: were we stopped in between, the next change writes the server's part too. */
function keep(
  { serverFolder }: CredentialFolders,
  credentials: readonly WorkspaceCredential[],
): void {
  mkdirSync(serverFolder, { recursive: true });
  exchange(join(serverFolder, registryFile), `${JSON.stringify(credentials, null, 2)}\n`);
  const workspaces = [...new Set(credentials.map(({ workspace }) => workspace))];
  const accounts = workspaces.map((workspace) => {
    const own = credentials.filter((one) => one.workspace === workspace);
    return workspaceAccount(
      workspace,
      own.map(({ publicKey }) => publicKey),
    );
  });
  const text = `# Written by \`rastro nats credentials\`.\n${accounts.join('')}`;
  exchange(join(serverFolder, workspacesFile), text);
}

/** Whole or not at all: the server may be reading it. */
function exchange(file: string, text: string): void {
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, text);
  renameSync(draft, file);
}
