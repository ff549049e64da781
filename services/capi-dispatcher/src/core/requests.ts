/** How events that are sent together are cut into requests. */

interface Sendable {
  readonly id: string;
  readonly testEventCode: string | null;
  readonly unknownSinceMs: number | null;
  readonly isForced: boolean;
}

/**
 * By test code, which stands beside the events and not in them; repeats apart from what goes for the
 * first time, for an answer that gets lost leaves all of a request in doubt; a forced event alone,
 * for one that Meta refuses takes all with it.
 * @param rows of one lane, no more than are claimed at once.
 */
export function requestsOf<T extends Sendable>(rows: readonly T[]): T[][] {
  const requests = Map.groupBy(rows, ({ id, isForced, testEventCode, unknownSinceMs }) =>
    isForced ? `forced ${id}` : `${unknownSinceMs === null} ${testEventCode ?? ''}`,
  );
  return [...requests.values()];
}
