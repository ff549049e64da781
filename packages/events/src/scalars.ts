/** The small values that every schema is made of, each with the pattern that guards it. */
import Type, { type TSchema } from 'typebox';

/** 32 lower-case hex digits: a UUID v4 without dashes, minted once per click. */
export const TrackingToken = Type.String({ pattern: '^[0-9a-f]{32}$' });

/** Any UUID in its canonical lower-case form; event ids and `payment.id` are version 7. */
export const Uuid = Type.String({
  pattern: '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$',
});

/** A name given in the catalog file: safe in URLs, NATS subjects and message ids. */
export const CatalogId = Type.String({ pattern: '^[a-z0-9][a-z0-9_-]{0,63}$' });

/** ISO 8601 in UTC with milliseconds, as `Date.prototype.toISOString` writes it. */
export const Timestamp = Type.String({
  pattern: '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}\\.\\d{3}Z$',
});

/** Money in integer cents; decimals exist only at Meta's and a gateway's edge. */
export const Cents = Type.Integer({ minimum: 0, maximum: 1_000_000_000_00 });

/** ISO 4217 code. */
export const Currency = Type.String({ pattern: '^[A-Z]{3}$' });

/** Telegram promises user ids of at most 52 significant bits, so a number holds them. */
export const TelegramUserId = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER });

/** Lower-case hex SHA-256. */
export const Sha256 = Type.String({ pattern: '^[0-9a-f]{64}$' });

/** Meta's dataset id: digits only. */
export const PixelId = Type.String({ pattern: '^[0-9]{1,32}$' });

/** A value that may be unknown: written as `null`, so that absence is never an accident. */
export function Nullable<T extends TSchema>(schema: T) {
  return Type.Union([schema, Type.Null()]);
}

/** Free text from outside, bounded. */
export function Text(maxLength: number) {
  return Type.String({ maxLength });
}

/** One of a few literal strings. */
export function OneOf<T extends string[]>(...values: T) {
  // Without the type argument TypeBox infers `string` and the literals are lost.
  return Type.Enum<T>(values);
}
