/** Where an event is safe before its visitor is answered, and from where it goes on to JetStream. */
import { join } from 'node:path';
import type { RastroEvent } from '@rastro/events';
import type { Nats } from '@rastro/messaging';
import type { Logger } from '@rastro/runtime';
import { startCarrier } from './adapters/carrier.ts';
import { EventRecorder } from './adapters/event-recorder.ts';
import { linkNats } from './adapters/nats-link.ts';
import { startDrain } from './adapters/spool-drain.ts';
import { type Segment, Spool } from './adapters/spool.ts';
import type { Counters } from './metrics.ts';

export interface ClickLog extends AsyncDisposable {
  /** Resolves once the event is safe; never rejects. */
  readonly record: (event: RastroEvent) => Promise<void>;
  readonly segments: () => readonly Segment[];
  readonly isLinked: () => boolean;
}

export interface ClickLogOptions {
  readonly folder: string;
  readonly natsUrl: string;
  readonly natsReplicas: number;
  readonly service: string;
  readonly log: Logger;
  readonly count: Pick<Counters, 'published' | 'unspooled'>;
  /** Called once, when NATS is there; the stack ends with the connection. */
  readonly onLinked: (nats: Nats, stack: AsyncDisposableStack) => Promise<void>;
}

export async function openClickLog(options: ClickLogOptions): Promise<ClickLog> {
  const { folder, natsUrl, natsReplicas, service, log, count, onLinked } = options;
  await using stack = new AsyncDisposableStack();
  const spool = stack.use(await Spool.open(join(folder, 'spool')));
  const onPublished = (events: number): void => count.published.inc(events);
  const link = stack.use(
    linkNats({
      url: natsUrl,
      name: service,
      replicas: natsReplicas,
      log,
      onLinked: async (nats, owned) => {
        const { carry } = owned.use(startCarrier({ natsUrl, name: service }));
        owned.use(startDrain({ spool, carry, log, onPublished }));
        await onLinked(nats, owned);
      },
    }),
  );
  const onDiskFailure = (): void => count.unspooled.inc();
  const recorder = stack.use(
    new EventRecorder({ spool, publish: link.publish, log, onDiskFailure }),
  );
  const owned = stack.move();
  return {
    record: recorder.record.bind(recorder),
    segments: () => spool.segments,
    isLinked: link.isUp,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
