import { createConnection } from 'node:net';

const answerWithinMs = 2_000;

/** Sends one request on a new connection and waits until the answer matches. */
export async function exchange(
  port: number,
  request: string | Buffer,
  expected: RegExp,
): Promise<void> {
  const socket = createConnection({ host: '127.0.0.1', port });
  socket.setTimeout(answerWithinMs, () => socket.destroy(new Error('no answer in time')));
  try {
    socket.write(request);
    let answer = '';
    for await (const chunk of socket) {
      answer += String(chunk);
      if (expected.test(answer)) return;
    }
    throw new Error(`unexpected answer: ${answer.slice(0, 200)}`);
  } finally {
    socket.destroy();
  }
}
