/** A connection that never gives up, and says so when it is gone. */
import {
  jetstream,
  jetstreamManager,
  type JetStreamClient,
  type JetStreamManager,
} from '@nats-io/jetstream';
import { connect, type NatsConnection, type NodeConnectionOptions } from '@nats-io/transport-node';
import { setTimeout as delay } from 'node:timers/promises';
import type { Log } from './log.ts';
import { defaultTopology, type TopologyOptions } from './topology.ts';

export interface Nats extends AsyncDisposable {
  readonly connection: NatsConnection;
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
  readonly log: Log;
  /** How streams are to be where they have to be created. */
  readonly topology: TopologyOptions;
}

export interface ConnectOptions {
  /** `nats://user:password@host:port`, several separated by commas. */
  readonly url: string;
  /** Shown in the server's connection list. */
  readonly name: string;
  readonly log: Log;
  readonly topology?: Partial<TopologyOptions>;
  /** Gives up waiting for the server, for those who can do without it. */
  readonly signal?: AbortSignal;
}

/**
 * Waits for the server as long as it takes. The client's own defaults give up after ten tries and
 * notice a dead peer after four minutes; neither is right for a service.
 */
export async function connectNats(options: ConnectOptions): Promise<Nats> {
  const { url, name, log, signal } = options;
  const topology = { ...defaultTopology, ...options.topology };
  const addresses = url.split(',').map((part) => new URL(part.trim()));
  const [first] = addresses;
  const settings: NodeConnectionOptions = {
    name,
    servers: addresses.map((address) => address.host),
    ...(first?.username
      ? { user: decodeURIComponent(first.username), pass: decodeURIComponent(first.password) }
      : {}),
    ...(first?.protocol === 'tls:' ? { tls: {} } : {}),
    maxReconnectAttempts: -1,
    // The client's own waiting cannot be ended.
    waitOnFirstConnect: signal === undefined,
    reconnectTimeWait: 500,
    reconnectJitter: 500,
    pingInterval: 20_000,
    ignoreAuthErrorAbort: true,
    timeout: 5_000,
  };
  const connection = signal ? await connectUntil(signal, settings) : await connect(settings);
  void reportStatus(connection, log);
  const jsm = await jetstreamManager(connection, { checkAPI: false });
  const js = jetstream(connection);
  return { connection, js, jsm, log, topology, [Symbol.asyncDispose]: () => drain(connection) };
}

const firstConnectEveryMs = 500;

/** @throws the signal's reason once it is aborted. */
async function connectUntil(
  signal: AbortSignal,
  settings: NodeConnectionOptions,
): Promise<NatsConnection> {
  for (;;) {
    signal.throwIfAborted();
    const connection = await connect(settings).catch(() => undefined);
    if (connection) return connection;
    await delay(firstConnectEveryMs, undefined, { signal });
  }
}

async function reportStatus(connection: NatsConnection, log: Log): Promise<void> {
  for await (const status of connection.status()) {
    if (status.type === 'disconnect' || status.type === 'staleConnection') {
      log.warn({ nats: status.type }, 'NATS is away; trying again until it is back');
    } else if (status.type === 'reconnect') {
      log.info({ nats: status.type }, 'NATS is back');
    }
  }
}

/** Flushes what is under way where the server can be reached; never hangs where it cannot. */
async function drain(connection: NatsConnection): Promise<void> {
  if (connection.isClosed()) return;
  const drained = connection.drain().catch(() => connection.close());
  const bound = new Promise<void>((resolve) => setTimeout(resolve, 3_000).unref());
  await Promise.race([drained, bound]);
  if (!connection.isClosed()) await connection.close();
}

/** For `/readyz`. */
export function checkNats(nats: Nats): Promise<void> {
  return nats.connection.flush();
}
