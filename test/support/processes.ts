/** What a process has started, and what it weighs, as Linux tells it. */
import { readdirSync, readFileSync } from 'node:fs';

interface ProcessInfo {
  readonly pid: number;
  readonly parent: number;
  readonly name: string;
}

function allProcesses(): ProcessInfo[] {
  return readdirSync('/proc').flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return [];
    const stat = unlessEnded(() => readFileSync(`/proc/${entry}/stat`, 'utf8'));
    if (stat === undefined) return [];
    const [, name = '', rest = ''] = /\((.*)\) (.*)/s.exec(stat) ?? [];
    const [state, parent] = rest.split(' ');
    return state === 'Z' ? [] : [{ pid: Number(entry), parent: Number(parent), name }];
  });
}

/** Undefined of a process that has ended, be it while we were reading. */
function unlessEnded<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

/** A process and everything below it. */
export function processTree(root: number): ProcessInfo[] {
  const all = allProcesses();
  const tree = all.filter(({ pid }) => pid === root);
  for (let i = 0; i < tree.length; i += 1) {
    tree.push(...all.filter(({ parent }) => parent === tree[i]?.pid));
  }
  return tree;
}

export function isAlive(pid: number): boolean {
  return allProcesses().some((process) => process.pid === pid);
}

/**
 * Resident memory in MB: all pages, and with shared ones divided among their users. None of a
 * process that has ended.
 */
export function residentMb(pid: number): { rss: number; pss: number } {
  const rollup = unlessEnded(() => readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')) ?? '';
  const mb = (field: string): number =>
    Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(rollup)?.[1] ?? 0) / 1024;
  return { rss: mb('Rss'), pss: mb('Pss') };
}
