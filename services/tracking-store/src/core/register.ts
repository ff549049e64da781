/**
 * Values that can be merged in any order, any number of times, with the same result: each knows
 * when it was said, and the earliest or the latest wins. TRAFFIC and COMMERCE are separate
 * streams, so there is no order to rely on.
 */

/** `at` is `<event time>/<event id>`: no two events have the same, and text order is time order. */
export interface Stamped<T> {
  readonly at: string;
  readonly value: T;
}

/** Undefined while nobody has said it. */
export type Register<T> = Stamped<T> | undefined;

/** Has to be commutative, associative and idempotent. */
export type Merge<T> = (a: T, b: T) => T;

export function earliest<T>(a: Register<T>, b: Register<T>): Register<T> {
  if (!a || !b) return a ?? b;
  return b.at < a.at ? b : a;
}

export function latest<T>(a: Register<T>, b: Register<T>): Register<T> {
  if (!a || !b) return a ?? b;
  return b.at > a.at ? b : a;
}

/** Field by field; the order of the result's fields is that of `merges`, whatever came first. */
export function mergeFields<T extends object>(merges: {
  readonly [K in keyof T]-?: Merge<T[K]>;
}): Merge<T> {
  const entries = Object.entries(merges) as [keyof T, Merge<unknown>][];
  return (a, b) => {
    const merged: Partial<Record<keyof T, unknown>> = {};
    for (const [field, merge] of entries) merged[field] = merge(a[field], b[field]);
    return merged as T;
  };
}

export type ById<T> = Readonly<Record<string, T>>;

/** Entry by entry, sorted by id, so that equal states are equal as text. */
export function mergeById<T>(merge: Merge<T>): Merge<ById<T>> {
  return (a, b) => {
    // Most events say nothing of payments or conversions, and what was merged before is sorted.
    if (isEmpty(b)) return a;
    if (isEmpty(a)) return b;
    const ids = [...new Set([...Object.keys(a), ...Object.keys(b)])].sort();
    return Object.fromEntries(ids.map((id) => [id, mergeEntry(merge, a[id], b[id])])) as ById<T>;
  };
}

function isEmpty(byId: object): boolean {
  for (const _id in byId) return false;
  return true;
}

function mergeEntry<T>(merge: Merge<T>, a: T | undefined, b: T | undefined): T | undefined {
  return a === undefined || b === undefined ? (a ?? b) : merge(a, b);
}
