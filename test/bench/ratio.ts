/** What a tracked click costs, against bare Fastify that renders the same page. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { GatewayAlone } from './gateway-alone.ts';
import { closedLoop } from './closed-loop.ts';
import type { Figures } from './figures.ts';

const warmUpSeconds = 4;
const seconds = 8;

/** First the one, then the other, in turn: the ratio of a run is of the same minute. */
export async function measureRatio(gateway: GatewayAlone, bare: BarePage): Promise<Figures> {
  await closedLoop(bare.url, { seconds: warmUpSeconds });
  const yardstick = await closedLoop(bare.url, { seconds });
  await closedLoop(gateway.url, { seconds: warmUpSeconds });
  const tracked = await closedLoop(gateway.url, { seconds });
  return {
    'bare pages/s': yardstick.perSecond,
    'tracked clicks/s': tracked.perSecond,
    ratio: tracked.perSecond / yardstick.perSecond,
    'p99 ms': tracked.p99Ms,
    errors: yardstick.errors + tracked.errors,
  };
}

export interface BarePage extends AsyncDisposable {
  readonly url: string;
}

export async function startBarePage(): Promise<BarePage> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'bare-page.ts')], {
    env: { PATH: process.env['PATH'], NODE_ENV: 'production' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return { url: await firstLine(child), [Symbol.asyncDispose]: () => end(child) };
}

async function firstLine({ stdout }: ChildProcess): Promise<string> {
  if (!stdout) throw new Error('the bare page has no stdout');
  const [line] = (await once(createInterface({ input: stdout }), 'line')) as [string];
  return line;
}

async function end(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}
