/** A part of a segment file, read and published: what the drain does, chunk by chunk. */
import { open } from 'node:fs/promises';
import { eventSubject, isEventType, parseJson, type RastroEvent } from '@rastro/events';
import type { RawPublication } from '@rastro/messaging';

/** Whole lines, unless it ends at the file's end: only there can a crash have torn one. */
export interface SpoolRange {
  readonly file: string;
  readonly start: number;
  readonly end: number;
  readonly isToEndOfFile: boolean;
}

export interface Carried {
  /** How far into the range the whole lines reach; all of them are published. */
  readonly bytes: number;
  readonly events: number;
  /** Lines that are no event, left out; a crash in the middle of a write makes such a line. */
  readonly tornLines: number;
}

const newline = 10;

/**
 * @param publishAll resolves once all of them are stored, however often they are told.
 * @throws what it throws, and the file system's own errors.
 */
export async function carryRange(
  range: SpoolRange,
  publishAll: (publications: readonly RawPublication[]) => Promise<void>,
): Promise<Carried> {
  const chunk = await readBytes(range);
  const lastNewline = range.isToEndOfFile ? chunk.length : chunk.lastIndexOf(newline) + 1;
  const taken = chunk.subarray(0, lastNewline || chunk.length);
  const publications: RawPublication[] = [];
  let tornLines = 0;
  for (const line of linesOf(taken)) {
    const publication = publicationOf(line);
    if (publication) publications.push(publication);
    else tornLines += 1;
  }
  await publishAll(publications);
  return { bytes: taken.length, events: publications.length, tornLines };
}

async function readBytes({ file, start, end }: SpoolRange): Promise<Buffer> {
  const handle = await open(file, 'r');
  try {
    const buffer = Buffer.allocUnsafe(end - start);
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, start);
    if (bytesRead !== buffer.length) throw new Error(`${file} is shorter than it was`);
    return buffer;
  } finally {
    await handle.close();
  }
}

function* linesOf(chunk: Buffer): Generator<Buffer> {
  for (let start = 0; start < chunk.length;) {
    const found = chunk.indexOf(newline, start);
    const end = found === -1 ? chunk.length : found;
    if (end > start) yield chunk.subarray(start, end);
    start = end + 1;
  }
}

/** Null for a line that is no whole event. The bytes go on as they are. */
function publicationOf(line: Buffer): RawPublication | null {
  const json = parseJson(line.toString('utf8'));
  const event = json.ok ? (json.value as Partial<RastroEvent> | null) : null;
  if (!event?.id || !event.workspaceid || !event.type || !isEventType(event.type)) return null;
  return { subject: eventSubject(event as RastroEvent), id: event.id, payload: line };
}
