/** Events Manager's memory: each copy received, grouped by what Meta deduplicates on. */
import { randomUUID } from 'node:crypto';
import type { Journal } from '../journal.ts';
import { type CopySource, judgeCopies, type Judgement } from './dedupe.ts';

export interface EventCopy {
  id: string;
  source: CopySource;
  pixelId: string;
  eventName: string;
  eventId: string | null;
  receivedAtMs: number;
  /** Unix seconds; null for the browser's copies, which happen when they arrive. */
  eventTime: number | null;
  actionSource: string | null;
  eventSourceUrl: string | null;
  value: number | null;
  currency: string | null;
  /** Which customer information came along, by Meta's names (`fbc`, `client_ip_address`, …). */
  matchKeys: string[];
  userData: Record<string, unknown>;
  customData: Record<string, unknown>;
  testEventCode: string | null;
  /** Who sent it (server copies), for Meta's own statistics. */
  partnerAgent: string | null;
  warnings: string[];
  /** Which request of the log brought it (server copies). */
  requestId: string | null;
  raw: unknown;
}

export interface GraphRequest {
  id: string;
  atMs: number;
  version: string;
  pixelId: string;
  tokenOk: boolean;
  contentType: string;
  /** null where a fault reset the connection. */
  status: number | null;
  code: number | null;
  subcode: number | null;
  message: string | null;
  detail: string | null;
  /** The first 50; with a full log all of them. */
  events: {
    eventName: string | null;
    eventId: string | null;
    eventTime: number | null;
    /** Full log: SHA-256 of the event's JSON, so that a repeat can be told from a change. */
    digest?: string;
  }[];
  eventCount: number;
  /** The events were taken in. */
  accepted: boolean;
  /** They were taken in, but the caller never got the answer. */
  dropped: boolean;
  /** A switched-on fault answered. */
  faulted: boolean;
  testEventCode: string | null;
  fbtraceId: string | null;
  durationMs: number;
}

export interface EventGroup extends Judgement {
  pixelId: string;
  eventName: string;
  eventId: string | null;
  firstReceivedAtMs: number;
  lastReceivedAtMs: number;
  browser: EventCopy[];
  server: EventCopy[];
  warnings: string[];
}

export interface EventFilter {
  pixelId?: string | undefined;
  eventName?: string | undefined;
  eventId?: string | undefined;
  limit?: number | undefined;
}

export interface GraphStore {
  /** Each request is kept with all its events. */
  readonly isFull: boolean;
  addCopies(copies: EventCopy[]): void;
  addRequest(request: GraphRequest): void;
  /** Newest first. */
  groups(filter: EventFilter): EventGroup[];
  /** Newest first. */
  requests(filter: { pixelId?: string | undefined; limit?: number | undefined }): GraphRequest[];
  /** Rises with each change, so that a page can ask cheaply whether there is news. */
  revision(): number;
  reset(): void;
}

/** `short` is for people, who look at the newest; `full` for tests that count everything. */
export type GraphLog = 'short' | 'full';

const limits = {
  short: { maxCopies: 20_000, maxRequests: 5_000 },
  full: { maxCopies: 1_000_000, maxRequests: 250_000 },
} as const;

export function createGraphStore(journal: Journal, log: GraphLog = 'short'): GraphStore {
  const { maxCopies, maxRequests } = limits[log];
  const copies = journal.table<EventCopy>('graph.events', maxCopies);
  const requests = journal.table<GraphRequest>('graph.requests', maxRequests);
  let index = new Map<string, string[]>();
  let revision = 0;
  const enlist = (copy: EventCopy) => {
    const key = groupKey(copy);
    const ids = index.get(key) ?? [];
    // Deleted and set again, so that the groups' order is that of their last news.
    index.delete(key);
    index.set(key, [...ids, copy.id]);
  };
  copies.values().forEach(enlist);
  copies.onEvict((id, copy) => {
    const key = groupKey(copy);
    const rest = (index.get(key) ?? []).filter((other) => other !== id);
    if (rest.length === 0) index.delete(key);
    else index.set(key, rest);
  });
  return {
    isFull: log === 'full',
    addCopies(added) {
      revision += 1;
      for (const copy of added) {
        enlist(copy);
        copies.put(copy.id, copy);
      }
    },
    addRequest(request) {
      revision += 1;
      requests.put(request.id, request);
    },
    groups(filter) {
      const found: EventGroup[] = [];
      for (const ids of [...index.values()].reverse()) {
        if (found.length >= (filter.limit ?? maxCopies)) break;
        const members = ids.flatMap((id) => copies.get(id) ?? []);
        if (members.length > 0 && fits(members, filter)) found.push(groupOf(members));
      }
      return found;
    },
    requests({ pixelId, limit }) {
      const newestFirst = requests.values().reverse();
      const wanted =
        pixelId === undefined ? newestFirst : newestFirst.filter((r) => r.pixelId === pixelId);
      return wanted.slice(0, limit ?? maxRequests);
    },
    revision: () => revision,
    reset() {
      revision += 1;
      copies.clear();
      requests.clear();
      index = new Map();
    },
  };
}

function groupKey(copy: EventCopy): string {
  // Without an event_id nothing joins two copies, so each stands alone.
  return JSON.stringify([copy.pixelId, copy.eventName, copy.eventId ?? { alone: copy.id }]);
}

function fits(members: EventCopy[], filter: EventFilter): boolean {
  const [first] = members;
  if (first === undefined) return false;
  return (
    (filter.pixelId === undefined || first.pixelId === filter.pixelId) &&
    (filter.eventName === undefined || first.eventName === filter.eventName) &&
    (filter.eventId === undefined || first.eventId === filter.eventId)
  );
}

function groupOf(members: EventCopy[]): EventGroup {
  const [first] = members as [EventCopy, ...EventCopy[]];
  const times = members.map((copy) => copy.receivedAtMs);
  return {
    pixelId: first.pixelId,
    eventName: first.eventName,
    eventId: first.eventId,
    firstReceivedAtMs: Math.min(...times),
    lastReceivedAtMs: Math.max(...times),
    browser: members.filter((copy) => copy.source === 'browser'),
    server: members.filter((copy) => copy.source === 'server'),
    ...judgeCopies(members, first.eventId !== null),
    warnings: [...new Set([...members.flatMap((copy) => copy.warnings), ...mismatches(members)])],
  };
}

/** Differences between the copies that Meta would keep only one side of. */
function mismatches(members: EventCopy[]): string[] {
  const browser = members.find((copy) => copy.source === 'browser');
  const server = members.find((copy) => copy.source === 'server');
  if (browser === undefined || server === undefined) return [];
  const differs = (key: 'value' | 'currency') => browser[key] !== server[key];
  const identityDiffers = (key: string) => {
    const [inBrowser, atServer] = [browser, server].map(({ userData }) => unmarked(userData[key]));
    return inBrowser !== undefined && atServer !== undefined && inBrowser !== atServer;
  };
  return [
    ...(['value', 'currency'] as const)
      .filter(differs)
      .map((key) => `${key} differs between the browser's and the server's copy.`),
    ...['fbp', 'fbc', 'client_ip_address']
      .filter(identityDiffers)
      .map((key) => `${key} differs between the browser's and the server's copy.`),
  ];
}

/**
 * `fbc` and `fbp` without what Meta's parameter builder appends to say that it was used: a fifth
 * segment of two signs (older ones) or of eight. Meta takes both forms for the same.
 */
export function unmarked(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  return value.replace(/^(fb(?:\.[^.]+){3})\.(?:AQ|Ag|Aw|BA|BQ|Bg|[\w-]{8})$/, '$1');
}

export function createCopyId(): string {
  return randomUUID();
}
