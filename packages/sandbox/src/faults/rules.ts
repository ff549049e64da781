/** Which fault strikes which call: rules matched in order, driven by a seeded generator. */
import Type, { type Static } from 'typebox';
import { Errors } from 'typebox/value';

const closed = { additionalProperties: false };
const Count = Type.Integer({ minimum: 1, maximum: 1_000_000 });
const WaitMs = Type.Integer({ minimum: 0, maximum: 600_000 });

export const faultActionSchema = Type.Object(
  {
    /** Waits before anything else happens; combines with every other action. */
    delayMs: Type.Optional(WaitMs),
    /** Answers so, in the vendor's own error shape or with `body`; nothing is processed. */
    status: Type.Optional(Type.Integer({ minimum: 200, maximum: 599 })),
    body: Type.Optional(Type.Unknown()),
    /** graph: Meta's `code` and `error_subcode` of the answer. */
    code: Type.Optional(Type.Integer()),
    subcode: Type.Optional(Type.Integer()),
    /** telegram: `parameters.retry_after`; elsewhere the Retry-After header. */
    retryAfterSeconds: Type.Optional(Type.Integer({ minimum: 0 })),
    /** Processed and logged, then the connection is cut before the answer. */
    acceptThenDrop: Type.Optional(Type.Boolean()),
    /** The connection is reset at once; nothing is processed. */
    reset: Type.Optional(Type.Boolean()),
    /** An HTML page instead of JSON, with `status` (502 if absent). */
    html: Type.Optional(Type.Boolean()),
    /** pixWebhooks: this many more deliveries of the same message. */
    duplicate: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })),
    /** pixWebhooks: held back until the account's next message has gone out (5 s at most). */
    reorder: Type.Optional(Type.Boolean()),
    /** pixWebhooks: the first try comes this much later. */
    lateMs: Type.Optional(WaitMs),
    /** pixWebhooks: signed with a secret that is not the account's. */
    forge: Type.Optional(Type.Boolean()),
    /** pixWebhooks: never sent. */
    lose: Type.Optional(Type.Boolean()),
  },
  { ...closed, minProperties: 1 },
);

const faultApiSchema = Type.Union([
  Type.Literal('graph'),
  Type.Literal('telegram'),
  Type.Literal('pix'),
  Type.Literal('pixWebhooks'),
  Type.Literal('pixel'),
]);
export type FaultApi = Static<typeof faultApiSchema>;

export const faultRuleSchema = Type.Object(
  {
    id: Type.Optional(Type.String({ minLength: 1 })),
    api: faultApiSchema,
    /**
     * All given must fit: `method` is a Bot API or HTTP method, `path` a part of the path.
     * `eventIdSuffix` speaks of events and not of calls: the Graph finds fault, as `code` and
     * `subcode` say, with each event whose `event_id` ends so, in whatever batch it comes and
     * whatever else befalls the call.
     */
    match: Type.Optional(
      Type.Object(
        {
          method: Type.Optional(Type.String()),
          path: Type.Optional(Type.String()),
          pixelId: Type.Optional(Type.String()),
          eventIdSuffix: Type.Optional(Type.String({ minLength: 1 })),
        },
        closed,
      ),
    ),
    probability: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
    times: Type.Optional(Count),
    action: faultActionSchema,
  },
  closed,
);

export const faultSettingsSchema = Type.Object(
  { seed: Type.Optional(Type.Integer()), rules: Type.Array(faultRuleSchema) },
  closed,
);

export type FaultAction = Static<typeof faultActionSchema>;
export type FaultRule = Static<typeof faultRuleSchema>;
export type FaultSettings = Static<typeof faultSettingsSchema>;
/** A rule with its id and how often it has struck. */
export type ActiveFaultRule = FaultRule & { id: string; used: number };

export interface FaultCall {
  method?: string;
  path?: string;
  pixelId?: string;
}

export interface Faults {
  settings(): { seed: number; rules: ActiveFaultRule[] };
  replace(settings: FaultSettings): void;
  add(rule: FaultRule): ActiveFaultRule;
  remove(id: string): boolean;
  /** The action of the first rule that strikes this call; the rule counts it. */
  strike(api: FaultApi, call: FaultCall): FaultAction | null;
  /** Of the first rule that finds fault with one of the events of a call to the Graph. */
  condemn(pixelId: string, eventIds: () => readonly string[]): FaultAction | null;
}

export function createFaults(seed: number): Faults {
  let currentSeed = seed;
  let random = mulberry32(seed);
  let rules: ActiveFaultRule[] = [];
  let lastId = 0;
  const activate = (rule: FaultRule): ActiveFaultRule => {
    lastId += 1;
    return { ...rule, id: rule.id ?? `fault-${lastId}`, used: 0 };
  };
  const use = (matching: readonly ActiveFaultRule[]): FaultAction | null => {
    for (const rule of matching) {
      if (rule.times !== undefined && rule.used >= rule.times) continue;
      if (rule.probability !== undefined && random() >= rule.probability) continue;
      rule.used += 1;
      return rule.action;
    }
    return null;
  };
  return {
    settings: () => ({ seed: currentSeed, rules }),
    replace(settings) {
      currentSeed = settings.seed ?? currentSeed;
      random = mulberry32(currentSeed);
      rules = settings.rules.map(activate);
    },
    add(rule) {
      const active = activate(rule);
      rules = [...rules.filter((other) => other.id !== active.id), active];
      return active;
    },
    remove(id) {
      const before = rules.length;
      rules = rules.filter((rule) => rule.id !== id);
      return rules.length < before;
    },
    strike(api, call) {
      const matching = rules.filter(
        (rule) => rule.api === api && !isAboutEvents(rule) && fits(rule.match ?? {}, call),
      );
      return use(matching);
    },
    condemn(pixelId, eventIds) {
      const ofPixel = rules.filter(
        (rule) => isAboutEvents(rule) && fits(rule.match ?? {}, { pixelId }),
      );
      if (ofPixel.length === 0) return null;
      const ids = eventIds();
      const suffixOf = ({ match }: FaultRule): string => match?.eventIdSuffix ?? '';
      return use(ofPixel.filter((rule) => ids.some((id) => id.endsWith(suffixOf(rule)))));
    },
  };
}

function isAboutEvents({ match }: FaultRule): boolean {
  return match?.eventIdSuffix !== undefined;
}

function fits(match: NonNullable<FaultRule['match']>, call: FaultCall): boolean {
  if (match.method !== undefined && match.method.toLowerCase() !== call.method?.toLowerCase()) {
    return false;
  }
  if (match.path !== undefined && !(call.path ?? '').includes(match.path)) return false;
  return match.pixelId === undefined || match.pixelId === call.pixelId;
}

/** A small generator with a seed, so that a run with faults can be repeated exactly. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** All that is wrong with a value of one of this file's schemas, for the person who wrote it. */
export function problemsOf(
  schema: typeof faultSettingsSchema | typeof faultRuleSchema,
  value: unknown,
): string[] {
  const problems = Errors(schema, value).map((problem) => {
    const extra = problem.keyword === 'additionalProperties' ? JSON.stringify(problem.params) : '';
    return `${problem.instancePath || '/'} ${problem.message} ${extra}`.trim();
  });
  if (problems.length > 0) return problems;
  const rules = schema === faultRuleSchema ? [value] : (value as FaultSettings).rules;
  return (rules as FaultRule[]).filter(isSenseless).map(({ match }) => {
    const wanted = 'eventIdSuffix needs api graph and an action of code and subcode alone';
    return `${wanted}: ${match?.eventIdSuffix}`;
  });
}

/** An event can be found fault with; delays and cut connections befall calls. */
function isSenseless(rule: FaultRule): boolean {
  if (!isAboutEvents(rule)) return false;
  const { code, subcode: _, ...rest } = rule.action;
  const { method, path } = rule.match ?? {};
  const speaksOfCalls = [method, path].some((value) => value !== undefined);
  return (
    rule.api !== 'graph' || code === undefined || Object.keys(rest).length > 0 || speaksOfCalls
  );
}
