import { execFileSync, spawnSync } from 'node:child_process';
import { chownSync, statSync } from 'node:fs';
import { findOptionalBinary } from './binary.ts';
import { ServerError } from './error.ts';

/** How to run a program that refuses to run as root. */
export interface Identity {
  /** Goes before the program and its arguments. */
  runAs: readonly string[];
  /** Gives the user a file or a folder with all that is in it. */
  own(path: string): void;
}

/**
 * Our own user where we are not root. Root becomes `nobody`; where that user cannot reach the
 * folder or the program (a checkout under /root), a user namespace in which we are called nobody
 * but keep our rights, or, where those are forbidden (containers), nobody with the one capability
 * to pass closed folders. Throws SERVER_ROOT_REFUSED when none of them works.
 */
export function unprivilegedIdentity(folder: string, program: string): Identity {
  if (process.getuid?.() !== 0) return { runAs: [], own: () => {} };

  const setpriv = findOptionalBinary('setpriv');
  const unshare = findOptionalBinary('unshare');
  const uid = idOfNobody('-u');
  const gid = idOfNobody('-g');
  const ofNobody = (path: string) => giveTo(path, uid, gid);
  const ofRoot = (path: string) => giveTo(path, 0, 0);
  const candidates: Identity[] = [];
  if (setpriv !== undefined) {
    const nobody = [setpriv, `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'];
    // The third lets access(2) count the capability, which initdb asks about its programs.
    const passing = [
      '--inh-caps=+dac_override',
      '--ambient-caps=+dac_override',
      '--securebits=+no_setuid_fixup',
    ];
    candidates.push({ runAs: nobody, own: ofNobody });
    if (unshare !== undefined) {
      const renamed = [unshare, '--user', `--map-user=${uid}`, `--map-group=${gid}`];
      candidates.push({ runAs: renamed, own: ofRoot });
    }
    candidates.push({ runAs: [...nobody, ...passing], own: ofNobody });
  }
  const working = candidates.find((identity) => canWork(identity, folder, program));
  if (working !== undefined) return working;
  throw new ServerError(
    'SERVER_ROOT_REFUSED',
    `PostgreSQL refuses to run as root, and no other user can reach ${folder} and ${program}. ` +
      'Run this as an ordinary user, or open the folders above to others (chmod o+x).',
  );
}

function canWork(identity: Identity, folder: string, program: string): boolean {
  const script = 'cd "$1" && test -x "$2" && "$2" --version';
  const command = [...identity.runAs, 'sh', '-c', script, 'sh', folder, program];
  const options = { stdio: 'ignore', timeout: 10_000 } as const;
  return spawnSync('env', command, options).status === 0;
}

function giveTo(path: string, uid: number, gid: number): void {
  const { uid: owner } = statSync(path);
  if (owner === uid) return;
  chownSync(path, uid, gid);
  execFileSync('chown', ['-R', `${uid}:${gid}`, path]);
}

function idOfNobody(flag: '-u' | '-g'): number {
  return Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }));
}
