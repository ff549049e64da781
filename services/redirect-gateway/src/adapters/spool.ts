/**
 * The log that makes a click durable before its visitor is answered: segment files of one JSON
 * text a line. One write that is synced (O_DSYNC) carries everything that arrived meanwhile.
 */
import { constants, type FileHandle, mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { newId } from '@rastro/runtime';

/** One file; only what is committed may be read. */
export interface Segment {
  readonly file: string;
  readonly createdMs: number;
  committedBytes: number;
  /** Nothing is added any more. */
  isSealed: boolean;
}

interface Waiting {
  readonly line: string;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

const extension = '.ndjson';
const maxSegmentBytes = 8 * 1024 ** 2;
const stalledAfterMs = 1_000;
// A write is done when it is on the disk. As a step of its own, fdatasync would wait for another
// turn of an event loop that is busy with visitors.
const { O_APPEND, O_CREAT, O_DSYNC, O_EXCL, O_WRONLY } = constants;
const durableAppend = O_APPEND | O_CREAT | O_DSYNC | O_EXCL | O_WRONLY;

export class Spool implements AsyncDisposable {
  readonly #folder: string;
  readonly #segments: Segment[];
  #active: { readonly segment: Segment; readonly handle: FileHandle } | undefined;
  #waiting: Waiting[] = [];
  #writing: Promise<void> | undefined;
  #writeStartedMs: number | undefined;
  /** Called after each commit. */
  onCommit: () => void = () => {};

  private constructor(folder: string, segments: Segment[]) {
    this.#folder = folder;
    this.#segments = segments;
  }

  /** Finds what an earlier process left behind; its segments are read, never written again. */
  static async open(folder: string): Promise<Spool> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const names = (await readdir(folder)).filter((name) => name.endsWith(extension)).sort();
    const segments: Segment[] = [];
    for (const name of names) {
      const file = join(folder, name);
      const { size, birthtimeMs } = await stat(file);
      if (size === 0) await rm(file, { force: true });
      else segments.push({ file, createdMs: birthtimeMs, committedBytes: size, isSealed: true });
    }
    return new Spool(folder, segments);
  }

  /** Oldest first. */
  get segments(): readonly Segment[] {
    return this.#segments;
  }

  /** The disk has not answered for a while: do not queue behind it. */
  get isStalled(): boolean {
    const since = this.#writeStartedMs;
    return since !== undefined && performance.now() - since > stalledAfterMs;
  }

  /** Resolves once the line is on the disk. @throws what the disk said. */
  append(line: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ line, resolve, reject });
      this.#writing ??= this.#writeAll();
    });
  }

  async #writeAll(): Promise<void> {
    // Requests of the same turn of the event loop share the first write.
    await nextTurn();
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      this.#writeStartedMs = performance.now();
      try {
        await this.#commit(`${batch.map(({ line }) => line).join('\n')}\n`);
        for (const { resolve } of batch) resolve();
        this.onCommit();
      } catch (error) {
        for (const { reject } of batch) reject(error);
        // What a failed write left in the file is unknown; the next one begins another.
        await this.#close().catch(() => {});
      }
      this.#writeStartedMs = undefined;
    }
    this.#writing = undefined;
  }

  async #commit(text: string): Promise<void> {
    const { segment, handle } = (this.#active ??= await this.#openSegment());
    const bytes = Buffer.from(text);
    await handle.appendFile(bytes);
    segment.committedBytes += bytes.length;
    if (segment.committedBytes >= maxSegmentBytes) await this.#close();
  }

  async #openSegment() {
    const file = join(this.#folder, `${newId()}${extension}`);
    const handle = await open(file, durableAppend, 0o600);
    try {
      await syncFolder(this.#folder);
    } catch (error) {
      await handle.close();
      throw error;
    }
    const segment = { file, createdMs: Date.now(), committedBytes: 0, isSealed: false };
    this.#segments.push(segment);
    return { segment, handle };
  }

  async #close(): Promise<void> {
    const closing = this.#active;
    this.#active = undefined;
    if (!closing) return;
    closing.segment.isSealed = true;
    await closing.handle.close();
  }

  /** Ends the segment if nothing is being written; the next line begins another. */
  async seal(segment: Segment): Promise<void> {
    if (this.#active?.segment === segment && this.#writing === undefined) await this.#close();
  }

  /** Forgets a sealed segment that is no longer needed. */
  async remove(segment: Segment): Promise<void> {
    await rm(segment.file, { force: true });
    const index = this.#segments.indexOf(segment);
    if (index !== -1) this.#segments.splice(index, 1);
  }

  /** Finishes what is being written. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing;
    await this.#close();
  }
}

/** Without it a power cut could take away the file's name, and all its lines with it. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
