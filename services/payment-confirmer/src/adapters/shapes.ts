/** What the shapes of several gateways' answers and messages have in common. */
import Type from 'typebox';
import type { PaymentStatus } from '../core/gateway.ts';

/** Gateways leave a field out or say null, and mean the same. */
export const Maybe = <T extends Type.TSchema>(schema: T) =>
  Type.Optional(Type.Union([schema, Type.Null()]));

export const ShortText = Type.String({ maxLength: 256 });
export const Id = Type.String({ minLength: 1, maxLength: 256 });
export const Cents = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

/** A gateway's own words for what became of a charge; a word that is missing is `unknown`. */
export type Statuses = ReadonlyMap<string, PaymentStatus>;

export const statusIn = (statuses: Statuses, word: string): PaymentStatus | 'unknown' =>
  statuses.get(word) ?? 'unknown';
