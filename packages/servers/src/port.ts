import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { ServerError } from './error.ts';

// Below the range from which Linux takes the ports of outgoing connections (32768 and up).
// A client that reconnects to a server which is down could otherwise be given the server's own
// port, connect to itself, and keep the server from coming back.
const lowestPort = 15_000;
const highestPort = 32_000;
const attempts = 50;

/** A port on 127.0.0.1 that nobody listens on at this moment. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const port = randomInt(lowestPort, highestPort);
    if (await isPortFree(port)) return port;
  }
  throw new ServerError(
    'SERVER_PORT_TAKEN',
    `No free port between ${lowestPort} and ${highestPort} was found in ${attempts} attempts.`,
  );
}

export async function isPortFree(port: number): Promise<boolean> {
  const probe = createServer();
  try {
    probe.listen(port, '127.0.0.1');
    await once(probe, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    await new Promise((resolve) => probe.close(resolve));
  }
}
