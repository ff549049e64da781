/** `npm start` and `rastro …` as a person runs them: a process, its words and its exit code. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { repository } from '@rastro/infra/services';
import type { Environment } from '@rastro/runtime';

export interface RastroProcess {
  readonly child: ChildProcess;
  readonly pid: number;
  /** Everything said so far, on both streams, which may come in another order than they were written. */
  output(): string;
  /** Of that, what is for programs. */
  result(): string;
  /** Resolves with the match as soon as it is said; rejects when the process ends without. */
  says(pattern: RegExp): Promise<RegExpExecArray>;
  exit(): Promise<number | null>;
}

export function runRastro(args: readonly string[], environment: Environment): RastroProcess {
  const { PATH } = process.env;
  const child = spawn(process.execPath, args.map(fromRepository), {
    cwd: repository,
    env: { ...(PATH === undefined ? {} : { PATH }), ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  let result = '';
  const heard = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (stream === child.stdout) result += chunk;
      for (const listener of heard) listener();
    });
  }
  const exited = once(child, 'close').then(([code]) => code as number | null);
  return {
    child,
    pid: child.pid ?? 0,
    output: () => text,
    result: () => result,
    exit: () => exited,
    says: (pattern) =>
      new Promise((resolve, reject) => {
        const check = (): void => {
          const match = pattern.exec(text);
          if (!match) return;
          heard.delete(check);
          resolve(match);
        };
        heard.add(check);
        void exited.then((code) =>
          reject(new Error(`ended with ${code} without saying ${pattern.source}:\n${text}`)),
        );
        check();
      }),
  };
}

const fromRepository = (arg: string): string =>
  arg.startsWith('infra/') ? join(repository, arg) : arg;
