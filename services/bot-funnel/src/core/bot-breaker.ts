/**
 * Whether a bot may be handed customers: a breaker that opens on what Telegram says about the bot,
 * closes by steps, and knows nothing of who else watches. Only times decide, never how often
 * somebody looked, so that several processes may feed the same state. Times in milliseconds.
 */

/** What can be wrong with a bot, each found and cleared by a check of its own. */
export type Check = 'secret' | 'token' | 'name' | 'calls' | 'webhook';

export interface BreakerState {
  /** `new`: nobody has asked yet. */
  readonly status: 'new' | 'closed' | 'open' | 'half_open';
  /** What keeps it open, for people. */
  readonly problems: { readonly [C in Check]?: string };
  readonly openedAtMs: number | null;
  /** half_open: how far the recovery is, and since when all has been well there. */
  readonly step: number;
  readonly wellSinceMs: number;
  /** Since when Telegram has not answered for this bot; null while it does. */
  readonly failingSinceMs: number | null;
  /** Since when updates have not reached us, and how many waited when we last looked. */
  readonly webhookTrouble: { readonly sinceMs: number; readonly pending: number } | null;
}

export const initialBreaker: BreakerState = {
  status: 'new',
  problems: {},
  openedAtMs: null,
  step: 0,
  wellSinceMs: 0,
  failingSinceMs: null,
  webhookTrouble: null,
};

export interface BreakerTimes {
  /** A healthy bot is looked at this often, give or take a fifth. */
  readonly checkMs: number;
  /** After a failure, and as the first wait of a bot that is out of rotation. */
  readonly retryMs: number;
  readonly longestRetryMs: number;
  /** While it recovers, and while updates do not arrive. */
  readonly watchMs: number;
  /** How long calls, or updates, may fail before the bot is taken out. */
  readonly failingForMs: number;
  readonly webhookFailingForMs: number;
  /** The share of new visitors, and how long all has to be well until the next one. */
  readonly recovery: readonly { readonly sharePercent: number; readonly forMs: number }[];
}

export const breakerTimes: BreakerTimes = {
  checkMs: 60_000,
  retryMs: 5_000,
  longestRetryMs: 60_000,
  watchMs: 10_000,
  failingForMs: 15_000,
  webhookFailingForMs: 45_000,
  recovery: [
    { sharePercent: 10, forMs: 60_000 },
    { sharePercent: 50, forMs: 120_000 },
  ],
};

export type Signal =
  /** getMe worked: whose token it is, and whose the catalog says. */
  | { readonly type: 'ProbeAnswered'; readonly username: string; readonly wanted: string }
  | { readonly type: 'ProbeRefused'; readonly reason: string }
  /** No answer, or 5xx. Only where others are served meanwhile is that about this bot. */
  | {
      readonly type: 'ProbeFailed';
      readonly reason: string;
      readonly othersServedAtMs: number | null;
      /** Its sends fail while those of others do not. */
      readonly isSuspect: boolean;
    }
  /** Most of its sends fail though getMe may work: no time to give it more customers. */
  | { readonly type: 'SendsFailed' }
  | { readonly type: 'WebhookWorks' }
  | { readonly type: 'WebhookFails'; readonly reason: string; readonly pending: number }
  | { readonly type: 'WebhookRefused'; readonly reason: string }
  | { readonly type: 'SecretUnreadable'; readonly reason: string };

export function evolveBreaker(
  state: BreakerState,
  signal: Signal,
  nowMs: number,
  times: BreakerTimes = breakerTimes,
): BreakerState {
  const noted = noteSignal(state, signal, nowMs, times);
  const isBad = Object.keys(noted.problems).length > 0;
  if (isBad) {
    return noted.status === 'open' ? noted : { ...noted, status: 'open', openedAtMs: nowMs };
  }
  if (noted.status === 'open') {
    return { ...noted, status: 'half_open', openedAtMs: null, step: 0, wellSinceMs: nowMs };
  }
  if (signal.type === 'ProbeAnswered') {
    return noted.status === 'half_open' ? recover(noted, nowMs, times) : closed(noted);
  }
  const isSetback = setbacks.has(signal.type) && noted.status === 'half_open';
  return isSetback ? { ...noted, wellSinceMs: nowMs } : noted;
}

/** What does not take a bot out by itself, but keeps one that recovers where it is. */
const setbacks: ReadonlySet<Signal['type']> = new Set([
  'ProbeFailed',
  'SendsFailed',
  'WebhookFails',
]);

function noteSignal(
  state: BreakerState,
  signal: Signal,
  nowMs: number,
  times: BreakerTimes,
): BreakerState {
  switch (signal.type) {
    case 'ProbeAnswered': {
      const {
        secret: _secret,
        token: _token,
        name: _name,
        calls: _calls,
        ...rest
      } = state.problems;
      const problem = nameProblem(signal.username, signal.wanted);
      const problems = problem === null ? rest : { ...rest, name: problem };
      return { ...state, problems, failingSinceMs: null };
    }
    case 'ProbeRefused':
      return withProblem({ ...state, failingSinceMs: null }, 'token', signal.reason);
    case 'ProbeFailed': {
      const sinceMs = state.failingSinceMs ?? nowMs;
      const noted = { ...state, failingSinceMs: sinceMs };
      const { othersServedAtMs, isSuspect, reason } = signal;
      const isAlone = othersServedAtMs !== null && othersServedAtMs > sinceMs;
      const isLong = isAlone && nowMs - sinceMs >= times.failingForMs;
      return isSuspect || isLong ? withProblem(noted, 'calls', reason) : noted;
    }
    case 'SendsFailed':
      return state;
    case 'WebhookWorks': {
      const { webhook: _webhook, ...problems } = state.problems;
      return { ...state, problems, webhookTrouble: null };
    }
    case 'WebhookFails': {
      const sinceMs = state.webhookTrouble?.sinceMs ?? nowMs;
      const noted = { ...state, webhookTrouble: { sinceMs, pending: signal.pending } };
      const isLong = nowMs - sinceMs >= times.webhookFailingForMs;
      return isLong ? withProblem(noted, 'webhook', signal.reason) : noted;
    }
    case 'WebhookRefused':
      return withProblem(state, 'webhook', signal.reason);
    case 'SecretUnreadable':
      return withProblem(state, 'secret', signal.reason);
  }
}

const withProblem = (state: BreakerState, check: Check, reason: string): BreakerState => ({
  ...state,
  problems: { ...state.problems, [check]: reason },
});

/** Telegram does not mind the case of a username. */
function nameProblem(username: string, wanted: string): string | null {
  if (username.toLowerCase() === wanted.toLowerCase()) return null;
  return `its token belongs to @${username}, but the catalog links to @${wanted}`;
}

const closed = (state: BreakerState): BreakerState =>
  state.status === 'closed' ? state : { ...state, status: 'closed', step: 0, wellSinceMs: 0 };

/** One step at a time, also after a long silence. */
function recover(state: BreakerState, nowMs: number, times: BreakerTimes): BreakerState {
  const step = times.recovery[state.step];
  if (step !== undefined && nowMs - state.wellSinceMs < step.forMs) return state;
  if (state.step + 1 >= times.recovery.length) return closed(state);
  return { ...state, step: state.step + 1, wellSinceMs: nowMs };
}

export interface Verdict {
  readonly health: 'healthy' | 'unhealthy';
  /** The gravest of what is wrong. */
  readonly check: Check | null;
  readonly reason: string | null;
  /** Null for a bot that may have its whole share. */
  readonly sharePercent: number | null;
}

const byGravity: readonly Check[] = ['secret', 'token', 'name', 'calls', 'webhook'];

/** Null while nothing is known. */
export function verdictOf(state: BreakerState, times: BreakerTimes = breakerTimes): Verdict | null {
  if (state.status === 'new') return null;
  if (state.status !== 'open') {
    const share = state.status === 'half_open' ? times.recovery[state.step]?.sharePercent : null;
    return { health: 'healthy', check: null, reason: null, sharePercent: share ?? null };
  }
  const check = byGravity.find((one) => state.problems[one] !== undefined) ?? null;
  const reason = check === null ? null : (state.problems[check] ?? null);
  return { health: 'unhealthy', check, reason, sharePercent: null };
}

/**
 * When to look again. A bot that is out of rotation is asked less and less often: each wait is half
 * of the time that it has been out.
 * @param random in [0, 1); spreads the bots of a process, who all began together.
 */
export function nextCheckMs(
  state: BreakerState,
  nowMs: number,
  random: number,
  times: BreakerTimes = breakerTimes,
): number {
  const spread = 0.8 + 0.4 * random;
  const { retryMs, longestRetryMs, watchMs, checkMs } = times;
  const sinceMs = state.openedAtMs ?? state.failingSinceMs;
  if (sinceMs !== null) {
    return Math.min(longestRetryMs, Math.max(retryMs, (nowMs - sinceMs) / 2)) * spread;
  }
  const isWatched = state.status === 'half_open' || state.webhookTrouble !== null;
  if (isWatched) return watchMs * spread;
  return (state.status === 'new' ? retryMs : checkMs) * spread;
}
