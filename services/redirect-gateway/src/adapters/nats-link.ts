/** NATS in the background: the gateway answers whether or not it is there. */
import { setTimeout as delay } from 'node:timers/promises';
import { type RastroEvent } from '@rastro/events';
import { connectNats, ensureStreams, type Nats, publishEvent } from '@rastro/messaging';
import type { Logger } from '@rastro/runtime';

export interface NatsLink extends AsyncDisposable {
  /** @throws at once while there is no connection. */
  readonly publish: (event: RastroEvent) => Promise<void>;
  readonly isUp: () => boolean;
}

export interface LinkOptions {
  readonly url: string;
  readonly name: string;
  readonly replicas: number;
  readonly log: Logger;
  /** Called once, when server and streams are there; the stack ends with the link. */
  readonly onLinked: (nats: Nats, stack: AsyncDisposableStack) => Promise<void>;
}

const retryMs = 1_000;

/** Waits for the server as long as it takes, without making anybody wait. */
export function linkNats(options: LinkOptions): NatsLink {
  const { url, name, replicas, log, onLinked } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  const stack = new AsyncDisposableStack();
  let current: Nats | undefined;

  async function link(): Promise<void> {
    const nats = await connectNats({ url, name, log, topology: { replicas }, signal });
    if (signal.aborted) return nats[Symbol.asyncDispose]();
    stack.use(nats);
    current = nats;
    await ensureStreamsUntil(nats, signal);
    await onLinked(nats, stack);
  }
  const linking = link().catch((error: unknown) => {
    if (!signal.aborted) log.error({ err: error }, 'NATS cannot be used; events stay in the spool');
  });
  return {
    publish: async (event) => {
      if (!current) throw new Error('NATS has not been reached yet');
      await publishEvent(current, event);
    },
    isUp: () => current !== undefined && !current.connection.isClosed(),
    [Symbol.asyncDispose]: async () => {
      stopping.abort();
      // First: what waits for a server that is away only ends with its connection.
      await stack.disposeAsync();
      await linking;
    },
  };
}

async function ensureStreamsUntil(nats: Nats, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    try {
      return await ensureStreams(nats);
    } catch (error) {
      nats.log.warn({ err: error }, 'the streams are not usable yet; trying again');
      await delay(retryMs, undefined, { signal });
    }
  }
}
