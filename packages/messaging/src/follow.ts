/** A copy in memory of what a stream says: read from its beginning, then followed, by every process. */
import type { ConsumerMessages } from '@nats-io/jetstream';
import { eventFilter, type EventType, parseEvent, type RastroEvent } from '@rastro/events';
import { setTimeout as delay } from 'node:timers/promises';
import type { Nats } from './connection.ts';
import { ensureStreams } from './provision.ts';
import type { StreamName } from './topology.ts';

export interface FollowOptions {
  readonly stream: StreamName;
  readonly filterSubjects?: string[];
  /** Called again from the beginning after an interruption: has to stand repetition. */
  readonly onMessage: (text: string, subject: string) => void;
}

const tryAgainMs = 1_000;

/** Resolves once the newest message was seen, and goes on until disposed of. */
export async function follow(nats: Nats, options: FollowOptions): Promise<AsyncDisposable> {
  const { stream, filterSubjects, onMessage } = options;
  const stopping = new AbortController();
  const caughtUp = Promise.withResolvers<void>();
  let current: ConsumerMessages | undefined;

  async function round(): Promise<void> {
    await ensureStreams(nats);
    const filter = filterSubjects ? { filter_subjects: filterSubjects } : {};
    const consumer = await nats.js.consumers.get(stream, filter);
    if ((await consumer.info()).num_pending === 0) caughtUp.resolve();
    const messages = await consumer.consume({ max_messages: 500 });
    current = messages;
    if (stopping.signal.aborted) messages.stop();
    for await (const message of messages) {
      onMessage(message.string(), message.subject);
      if (message.info.pending === 0) caughtUp.resolve();
    }
  }
  async function loop(): Promise<void> {
    while (!stopping.signal.aborted && !nats.connection.isClosed()) {
      await round().catch((error: unknown) =>
        nats.log.warn({ err: error, stream }, 'following was interrupted; starting again'),
      );
      await delay(tryAgainMs, undefined, { signal: stopping.signal }).catch(() => {});
    }
  }
  const running = loop();
  // A connection that is closed meanwhile must not leave anybody waiting.
  await Promise.race([caughtUp.promise, running]);
  return {
    [Symbol.asyncDispose]: async () => {
      stopping.abort();
      current?.stop();
      await running;
    },
  };
}

/** The same for events of a few types: for state that every process of a service needs. */
export function followEvents<T extends EventType>(
  nats: Nats,
  options: {
    readonly stream: StreamName;
    readonly types: readonly T[];
    readonly onEvent: (event: RastroEvent<T>) => void;
  },
): Promise<AsyncDisposable> {
  const { stream, types, onEvent } = options;
  return follow(nats, {
    stream,
    filterSubjects: types.map(eventFilter),
    onMessage: (text, subject) => {
      const decoded = parseEvent(text);
      if (decoded.ok) onEvent(decoded.value as RastroEvent<T>);
      else nats.log.error({ subject, problem: decoded.problem }, 'an event cannot be read');
    },
  });
}
