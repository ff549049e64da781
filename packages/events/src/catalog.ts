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
  },
  strict,
);

/** One button does one thing: buy a product, go to a step, or open a link. */
const FunnelButton = Type.Object(
  {
    label: Type.String({ minLength: 1, maxLength: 64 }),
    buy: Type.Optional(CatalogId),
    goto: Type.Optional(CatalogId),
    url: Type.Optional(HttpUrl),
  },
  strict,
);

const FunnelStep = Type.Object(
  {
    id: CatalogId,
    /** Plain text; shown as it is, whatever it contains. */
    text: Type.String({ minLength: 1, maxLength: 4096 }),
    buttons: Type.Array(FunnelButton, { maxItems: 16 }),
  },
  strict,
);

const Funnel = Type.Object(
  { id: CatalogId, steps: Type.Array(FunnelStep, { minItems: 1, maxItems: 64 }) },
  strict,
);

const botFields = (secret: TString) =>
  Type.Object(
    {
      id: CatalogId,
      username: Type.String({ pattern: '^[A-Za-z][A-Za-z0-9_]{3,31}$' }),
      token: secret,
      funnel: CatalogId,
      account: CatalogId,
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
