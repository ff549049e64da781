/** Preloaded into a process (`--import`): notes every address that it tries to connect to. */
import { subscribe } from 'node:diagnostics_channel';
import { appendFileSync } from 'node:fs';
import type { Socket } from 'node:net';

const file = process.env['RASTRO_CONNECTIONS_FILE'];

subscribe('net.client.socket', (message) => {
  const { socket } = message as { socket: Socket };
  const note = (line: string): void => {
    if (file) appendFileSync(file, `${line}\n`);
  };
  socket.on('lookup', (_error, _address, _family, host: string) => note(`lookup ${host}`));
  socket.on('connectionAttempt', (ip: string, port: number) => note(`connect ${ip}:${port}`));
});
