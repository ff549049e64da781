/**
 * Goal: a process that is done ends with its code by having nothing left to do, and also when
 * something was left open. Method: real processes that say whether their loop ran empty.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';

const file = join(import.meta.dirname, '../src/process.ts');

function ends(more: string): { status: number | null; output: string } {
  const program = `
    import { createServer } from 'node:net';
    import { endProcess } from ${JSON.stringify(file)};
    process.on('beforeExit', () => console.log('nothing left'));
    ${more}
    endProcess(3);`;
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--input-type=module', '--eval', program],
    { encoding: 'utf8', timeout: 30_000 },
  );
  return { status, output: stdout + stderr };
}

await t.test('it ends by itself, and whatever was left open', (t) => {
  t.same(ends(''), { status: 3, output: 'nothing left\n' });
  t.same(ends(`createServer().listen(0, '127.0.0.1');`), { status: 3, output: '' });
  t.end();
});
