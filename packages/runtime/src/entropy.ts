/** Random bytes, drawn in bulk: asking the kernel each time costs more than what is done with them. */
import { randomFillSync } from 'node:crypto';

const pool = Buffer.allocUnsafe(4_096);
let drawn = pool.length;

/** Good until the next call: copy what is to be kept. At most 4,096 at a time. */
export function drawRandomBytes(count: number): Buffer {
  if (drawn + count > pool.length) {
    randomFillSync(pool);
    drawn = 0;
  }
  drawn += count;
  return pool.subarray(drawn - count, drawn);
}
