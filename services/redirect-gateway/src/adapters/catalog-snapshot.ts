/** The catalog on disk, so that a start without NATS still knows every pool and bot. */
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type CatalogEntry, parseJson } from '@rastro/events';
import { parseCatalogEntry } from '@rastro/messaging';
import type { Logger } from '@rastro/runtime';
import type { HealthReport } from '../core/bot-health.ts';

export interface Snapshot {
  /** Pools and bots; the gateway has no use for the other kinds. */
  readonly entries: readonly CatalogEntry[];
  readonly botHealth: readonly HealthReport[];
}

/** Undefined where there is none that can be read: NATS will tell. */
export async function loadSnapshot(file: string, log: Logger): Promise<Snapshot | undefined> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') log.error({ err: error, file }, 'the snapshot cannot be read');
    return undefined;
  });
  if (text === undefined) return undefined;
  const json = parseJson(text);
  const raw = json.ok ? (json.value as { entries?: unknown; botHealth?: unknown } | null) : null;
  if (!raw || !Array.isArray(raw.entries) || !Array.isArray(raw.botHealth)) {
    log.error({ file }, 'the snapshot is damaged; waiting for NATS instead');
    return undefined;
  }
  return {
    entries: raw.entries.flatMap((entry) => parseCatalogEntry(JSON.stringify(entry)) ?? []),
    botHealth: raw.botHealth.filter(isHealthReport),
  };
}

function isHealthReport(value: unknown): value is HealthReport {
  const report = (value ?? {}) as Partial<Record<string, unknown>>;
  const { botId, health, changedAt, sharePercent } = report;
  const isShare = sharePercent === undefined || typeof sharePercent === 'number';
  return isShare && [botId, health, changedAt].every((field) => typeof field === 'string');
}

export interface SnapshotWriter extends AsyncDisposable {
  /** Something has changed; many calls become one write. */
  readonly touch: () => void;
}

const settleMs = 200;

/** @param take what to write, asked for at the moment of writing. */
export function createSnapshotWriter(options: {
  readonly file: string;
  readonly take: () => Snapshot;
  readonly log: Logger;
}): SnapshotWriter {
  const { file, take, log } = options;
  let writing: Promise<void> | undefined;
  let isDirty = false;

  async function writeWhileDirty(): Promise<void> {
    while (isDirty) {
      await delay(settleMs);
      isDirty = false;
      await replaceFile(file, JSON.stringify(take())).catch((error: unknown) =>
        log.error({ err: error, file }, 'the snapshot could not be written'),
      );
    }
    writing = undefined;
  }
  return {
    touch() {
      isDirty = true;
      writing ??= writeWhileDirty();
    },
    [Symbol.asyncDispose]: async () => writing,
  };
}

/** A reader sees the old text or the new one, whenever the power goes. */
async function replaceFile(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const temporary = `${file}.new`;
  const handle = await open(temporary, 'w', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, file);
}
