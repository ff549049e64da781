/**
 * Which copies of an event Meta would count, as "Deduplicate Pixel and server events" documents it:
 * the key is pixel + event_name + event_id; later copies are discarded within 48 h of the first
 * receipt; within 5 minutes of each other the browser's copy is favoured. Pure.
 *
 * Nothing is documented about two *server* copies with one id: they are counted here, loudly.
 */
export type CopySource = 'browser' | 'server';

export interface Copy {
  id: string;
  source: CopySource;
  receivedAtMs: number;
}

export type Verdict =
  | 'paired'
  | 'browser_only'
  | 'server_only'
  | 'server_duplicate'
  | 'counted_twice'
  | 'no_event_id';

export interface Judgement {
  verdict: Verdict;
  /** How many conversions Meta would count, if it discards repeated server copies. */
  countedEvents: number;
  /** The copies that count; the others are discarded. */
  keptIds: string[];
  /** Server copies beyond the first within one window: whether Meta discards them is unverified. */
  serverDuplicates: number;
  browserDuplicates: number;
}

export const dedupeWindowMs = 48 * 3600 * 1000;
const browserFavouredMs = 5 * 60 * 1000;

/** @param copies all that arrived with one pixel, event_name and event_id */
export function judgeCopies(copies: readonly Copy[], hasEventId: boolean): Judgement {
  const ordered = [...copies].sort((a, b) => a.receivedAtMs - b.receivedAtMs);
  if (!hasEventId) {
    return {
      verdict: 'no_event_id',
      countedEvents: ordered.length,
      keptIds: ordered.map((copy) => copy.id),
      serverDuplicates: 0,
      browserDuplicates: 0,
    };
  }
  const windows = splitIntoWindows(ordered);
  const sum = (source: CopySource) =>
    windows.reduce((total, copiesOf) => total + Math.max(0, count(copiesOf, source) - 1), 0);
  const serverDuplicates = sum('server');
  return {
    verdict: verdictOf(ordered, windows.length, serverDuplicates),
    countedEvents: windows.length,
    keptIds: windows.map(keptOf),
    serverDuplicates,
    browserDuplicates: sum('browser'),
  };
}

function splitIntoWindows(ordered: readonly Copy[]): Copy[][] {
  const windows: Copy[][] = [];
  for (const copy of ordered) {
    const current = windows.at(-1);
    const opened = current?.[0];
    if (opened !== undefined && copy.receivedAtMs - opened.receivedAtMs <= dedupeWindowMs) {
      current?.push(copy);
    } else {
      windows.push([copy]);
    }
  }
  return windows;
}

function keptOf(copies: readonly Copy[]): string {
  const first = copies[0];
  if (first === undefined) return '';
  const browser = copies.find((copy) => copy.source === 'browser');
  const isFavoured =
    browser !== undefined && browser.receivedAtMs - first.receivedAtMs <= browserFavouredMs;
  return isFavoured ? browser.id : first.id;
}

function count(copies: readonly Copy[], source: CopySource): number {
  return copies.filter((copy) => copy.source === source).length;
}

function verdictOf(copies: readonly Copy[], windows: number, serverDuplicates: number): Verdict {
  if (windows > 1) return 'counted_twice';
  if (serverDuplicates > 0) return 'server_duplicate';
  const server = count(copies, 'server');
  const browser = count(copies, 'browser');
  if (server > 0 && browser > 0) return 'paired';
  return server > 0 ? 'server_only' : 'browser_only';
}
