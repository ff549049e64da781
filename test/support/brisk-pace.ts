/** The waits of {@link file://./brisk-dispatcher.ts}, for who has to know how long they are. */
export const briskPace = {
  callTimeoutMs: 1_500,
  leaseMs: 4_000,
  retryBaseMs: 30,
  throttleBaseMs: 200,
  probeEveryMs: 1_000,
  missingClickHoldMs: 1_500,
  browserFirstHoldMs: 100,
} as const;
