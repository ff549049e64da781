/** What processes cost, as Linux counts it. */
import { readFile } from 'node:fs/promises';

const ticksPerSecond = 100;

/** User and system time of each, with that of its children that still run and that have ended. */
export async function cpuSecondsOf(
  pids: Readonly<Record<string, number>>,
): Promise<Record<string, number>> {
  const costs = Object.entries(pids).map(async ([name, pid]) => [name, await treeSeconds(pid)]);
  return Object.fromEntries(await Promise.all(costs)) as Record<string, number>;
}

async function treeSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  // The name, in parentheses, may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [user, system, endedUser, endedSystem] = fields.slice(11, 15).map(Number);
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  const below = await Promise.all(
    children
      .split(' ')
      .filter(Boolean)
      .map((child) => treeSeconds(Number(child))),
  );
  const ticks = (user ?? 0) + (system ?? 0) + (endedUser ?? 0) + (endedSystem ?? 0);
  return ticks / ticksPerSecond + below.reduce((sum, each) => sum + each, 0);
}
