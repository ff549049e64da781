/**
 * What the operator has set up: accounts, products, funnels, bots and pools, as they stand in
 * stream CATALOG (one message a subject) and in `rastro catalog apply`'s file.
 * Both have the same fields; secrets are plain text in the file and sealed everywhere else.
 */
import Type, { type Static, type TString } from 'typebox';
import { WorkspaceId } from './envelope.ts';
import {
  CatalogId,
  Cents,
  Currency,
  Nullable,
  OneOf,
  PixelId,
  Text,
  Timestamp,
} from './scalars.ts';

/** AES-256-GCM under the master key, as `runtime`'s `sealSecret` writes it. */
const SealedSecret = Type.String({ pattern: '^enc:v1:[A-Za-z0-9_-]+$', maxLength: 8192 });

/** A secret as the operator types it. */
const PlainSecret = Type.String({ minLength: 1, maxLength: 4096 });

const HttpUrl = Type.String({ pattern: '^https?://[^\\s]+$', maxLength: 2048 });

const GatewayKind = OneOf('standard-webhooks', 'mercadopago', 'pushinpay', 'woovi', 'abacatepay');

const strict = { additionalProperties: false };

const ButtonLabel = Type.String({ minLength: 1, maxLength: 64 });

const accountFields = (secret: TString) =>
  Type.Object(
    {
      id: CatalogId,
      kind: GatewayKind,
      /** Only for `standard-webhooks`; the others take theirs from the environment. */
      apiUrl: Nullable(HttpUrl),
      /** e.g. `apiKey`, `webhookSecret`: which ones, the gateway's adapter says. */
      credentials: Type.Record(Type.String({ pattern: '^[A-Za-z][A-Za-z0-9]{0,63}$' }), secret),
      /** Shown to the customer before payment where the gateway's terms ask for it. */
      checkoutNotice: Nullable(Text(1024)),
    },
    strict,
  );

const Product = Type.Object(
  {
    id: CatalogId,
    name: Type.String({ minLength: 1, maxLength: 256 }),
    priceCents: Cents,
    currency: Currency,
    accessUrl: Nullable(HttpUrl),
    /** What a refund in whole does to the delivery; absent: it ends. A chargeback always ends it. */
    accessAfterRefund: Type.Optional(OneOf('ends', 'stays')),
  },
  strict,
);

/** Offered between the press of a buy button and the PIX: one tap more in the same charge. */
const OrderBump = Type.Object(
  {
    /** The product that is charged instead: a bundle of both, with its own price and access. */
    product: CatalogId,
    text: Type.String({ minLength: 1, maxLength: 4096 }),
    accept: ButtonLabel,
    decline: ButtonLabel,
  },
  strict,
);

/** One button does one thing: buy a product, go to a step, or open a link. */
const FunnelButton = Type.Object(
  {
    label: ButtonLabel,
    buy: Type.Optional(CatalogId),
    goto: Type.Optional(CatalogId),
    url: Type.Optional(HttpUrl),
    /** Beside `buy` only. */
    bump: Type.Optional(OrderBump),
  },
  strict,
);

/** A file that Telegram fetches from its address; the step's text is its caption. */
const StepMedia = Type.Object(
  { type: OneOf('photo', 'video', 'animation', 'audio', 'voice', 'document'), url: HttpUrl },
  strict,
);

/** How a customer stands with a product, or with any of them. */
const PaymentCondition = OneOf('paid', 'pending', 'expired', 'not_bought');

/** Leads elsewhere before the step is shown; the first branch that holds is taken. */
const StepBranch = Type.Object(
  { when: PaymentCondition, product: Nullable(CatalogId), goto: CatalogId },
  strict,
);

const FunnelStep = Type.Object(
  {
    id: CatalogId,
    /** Plain text; shown as it is, whatever it contains. */
    text: Type.String({ minLength: 1, maxLength: 4096 }),
    buttons: Type.Array(FunnelButton, { maxItems: 16 }),
    media: Type.Optional(StepMedia),
    /** How long the step waits, once it is reached, before it is shown. */
    delaySeconds: Type.Optional(Type.Integer({ minimum: 0, maximum: 30 * 86_400 })),
    /** The step that follows by itself, after that one's own delay. */
    next: Type.Optional(CatalogId),
    branches: Type.Optional(Type.Array(StepBranch, { maxItems: 16 })),
  },
  strict,
);

/**
 * Brings back who stopped: after `stalled` (nothing pressed), `pix_unpaid` (shown and not paid),
 * `pix_expired`, or `paid` (an offer to who has bought) the customer is led to a step.
 */
const FollowUp = Type.Object(
  {
    id: CatalogId,
    on: OneOf('stalled', 'pix_unpaid', 'pix_expired', 'paid'),
    /** Only at this step (`stalled`) or for this product (the others); null for any. */
    step: Nullable(CatalogId),
    product: Nullable(CatalogId),
    afterMinutes: Type.Number({ minimum: 0, maximum: 30 * 1440 }),
    goto: CatalogId,
  },
  strict,
);

const ClockTime = Type.String({ pattern: '^([01][0-9]|2[0-3]):[0-5][0-9]$' });

/** What the bot would begin by itself in these hours waits for their end. */
const QuietHours = Type.Object(
  {
    from: ClockTime,
    to: ClockTime,
    /** Minutes east of UTC; Brazil's time, -180, has had no summer time since 2019. */
    utcOffsetMinutes: Type.Integer({ minimum: -720, maximum: 840 }),
  },
  strict,
);

/** The seller's own words; absent: ours; empty: nothing is said. */
const FunnelMessages = Type.Object(
  {
    paid: Type.Optional(Text(1024)),
    refunded: Type.Optional(Text(1024)),
    disputed: Type.Optional(Text(1024)),
  },
  strict,
);

/** Who answers for the customers' data, as `/privacidade` names him. */
const FunnelPrivacy = Type.Object(
  {
    controller: Type.String({ minLength: 1, maxLength: 256 }),
    contact: Type.String({ minLength: 1, maxLength: 256 }),
    policyUrl: Nullable(HttpUrl),
  },
  strict,
);

const Funnel = Type.Object(
  {
    id: CatalogId,
    steps: Type.Array(FunnelStep, { minItems: 1, maxItems: 64 }),
    followUps: Type.Optional(Type.Array(FollowUp, { maxItems: 32 })),
    quietHours: Type.Optional(QuietHours),
    messages: Type.Optional(FunnelMessages),
    privacy: Type.Optional(FunnelPrivacy),
  },
  strict,
);

const botFields = (secret: TString) =>
  Type.Object(
    {
      id: CatalogId,
      username: Type.String({ pattern: '^[A-Za-z][A-Za-z0-9_]{3,31}$' }),
      /** Needed by a managed bot; an external one may keep its own. */
      token: Type.Optional(secret),
      funnel: CatalogId,
      account: CatalogId,
      /** Accounts to turn to, in this order, while `account` opens no charge. */
      fallbackAccounts: Type.Optional(Type.Array(CatalogId, { maxItems: 8 })),
      /** A Telegram chat that the bot tells of refunds and disputes; groups are negative. */
      operatorChatId: Type.Optional(
        Type.Integer({ minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER }),
      ),
      /** `external`: somebody else's program runs it over NATS; we record and check. */
      runtime: OneOf('managed', 'external'),
      enabled: Type.Boolean(),
    },
    strict,
  );

const PoolBot = Type.Object(
  {
    bot: CatalogId,
    weight: Type.Integer({ minimum: 0, maximum: 1000 }),
    priority: Type.Integer({ minimum: -1, maximum: 1 }),
  },
  strict,
);

const metaFields = (secret: TString) =>
  Type.Object(
    {
      enabled: Type.Boolean(),
      pixelId: Nullable(PixelId),
      /** Without one only the browser's Pixel reports. */
      accessToken: Nullable(secret),
      testEventCode: Nullable(Text(64)),
      events: Type.Object({ pageView: Type.Boolean(), purchase: Type.Boolean() }, strict),
      purchaseTrigger: OneOf('delivery', 'paid', 'off'),
      purchaseGraceMinutes: Type.Number({ minimum: 0, maximum: 1440 }),
      /** How long PageView waits for the browser's cookies. */
      pageViewHoldMs: Type.Integer({ minimum: 0, maximum: 60_000 }),
    },
    strict,
  );

const poolFields = (secret: TString) =>
  Type.Object(
    {
      id: CatalogId,
      slug: CatalogId,
      strategy: OneOf('round_robin', 'weighted', 'least_connections', 'random'),
      bots: Type.Array(PoolBot, { minItems: 1, maxItems: 500 }),
      fallbackUrl: Nullable(HttpUrl),
      gate: Type.Object(
        {
          enabled: Type.Boolean(),
          param: Type.String({ pattern: '^[A-Za-z0-9_-]{1,32}$' }),
          value: Text(256),
        },
        strict,
      ),
      meta: metaFields(secret),
      consent: OneOf('not_required', 'required'),
      utmify: Type.Object(
        { pixelId: Nullable(Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$' })) },
        strict,
      ),
    },
    strict,
  );

/** The five kinds with sealed secrets: as stored, as sent, as kept in memory. */
export const catalogSchemas = {
  account: accountFields(SealedSecret),
  product: Product,
  funnel: Funnel,
  bot: botFields(SealedSecret),
  pool: poolFields(SealedSecret),
} as const;

/** The same five as an operator writes them, once defaults are filled in. */
export const plainCatalogSchemas = {
  account: accountFields(PlainSecret),
  product: Product,
  funnel: Funnel,
  bot: botFields(PlainSecret),
  pool: poolFields(PlainSecret),
} as const;

export type CatalogKind = keyof typeof catalogSchemas;
export const catalogKinds = Object.keys(catalogSchemas) as CatalogKind[];

export type CatalogItem<K extends CatalogKind = CatalogKind> = Static<(typeof catalogSchemas)[K]>;

/** One message in stream CATALOG; `data` is null once the entry was removed. */
export type CatalogEntry<K extends CatalogKind = CatalogKind> = {
  [Kind in K]: {
    readonly workspaceId: string;
    readonly kind: Kind;
    readonly id: string;
    /** Rises by one with each change of this entry. */
    readonly version: number;
    readonly changedAt: string;
    readonly data: CatalogItem<Kind> | null;
  };
}[K];

/** The schema of {@link CatalogEntry} for one kind. */
export function catalogEntrySchema<K extends CatalogKind>(kind: K) {
  return Type.Object({
    workspaceId: WorkspaceId,
    kind: Type.Literal(kind),
    id: CatalogId,
    version: Type.Integer({ minimum: 1 }),
    changedAt: Timestamp,
    data: Nullable(catalogSchemas[kind]),
  });
}
