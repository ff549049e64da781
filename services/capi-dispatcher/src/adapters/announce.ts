/** Tells the others what became of conversions, in the transaction that makes it so. */
import { appendAll } from '@rastro/event-store';
import { envelop, type EventBody } from '@rastro/events';
import { newId, type Transaction } from '@rastro/runtime';

export interface Announcement {
  readonly id: string;
  readonly workspaceId: string;
  /** Of the conversion's stream before this event. */
  readonly version: number;
  readonly event: EventBody | null;
}

/** Appends to each conversion's stream and counts its version on; the rows are locked. */
export async function announce(
  tx: Transaction,
  announcements: readonly Announcement[],
): Promise<void> {
  const said = announcements.filter(({ event }) => event !== null);
  if (said.length === 0) return;
  await tx`
    update conversions set version = version + 1
    where id = any(${said.map(({ id }) => id)}::uuid[])`;
  await record(tx, said);
}

/** The same where the versions have been counted on already. */
export async function record(
  tx: Transaction,
  announcements: readonly Announcement[],
): Promise<void> {
  const time = new Date().toISOString();
  const appends = announcements.flatMap(({ id, workspaceId, version, event }) => {
    if (event === null) return [];
    const circumstances = { time, source: 'capi-dispatcher', workspaceId, aggregateId: id };
    const enveloped = envelop(event, { ...circumstances, id: newId() });
    return [{ streamId: `conversion-${id}`, expectedVersion: version, events: [enveloped] }];
  });
  await appendAll(tx, appends);
}
