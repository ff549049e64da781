/** How events that are sent together are cut into requests. */

interface Sendable {
  readonly id: string;
  readonly testEventCode: string | null;
  readonly isForced: boolean;
}

/**
 * By test code, which stands beside the events and not in them; a forced event alone, for one that
 * Meta refuses takes all with it.
 * @param rows of one lane, no more than are claimed at once.
 */
export function requestsOf<T extends Sendable>(rows: readonly T[]): T[][] {
  const requests = Map.groupBy(rows, ({ id, isForced, testEventCode }) =>
    isForced ? `forced ${id}` : `code ${testEventCode ?? ''}`,
  );
  return [...requests.values()];
}
