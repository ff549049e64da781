/**
 * Which ad a click came through, from the link's UTM parameters. Meta fills in names and ids for
 * `utm_campaign={{campaign.name}}|{{campaign.id}}`, `utm_medium={{adset.name}}|{{adset.id}}`,
 * `utm_content={{ad.name}}|{{ad.id}}` and `utm_term={{placement}}`.
 */
import Type, { type Static } from 'typebox';
import { Nullable, Text } from './scalars.ts';

const NameAndId = Type.Object({
  name: Nullable(Text(512)),
  /** Meta's id: digits only. */
  id: Nullable(Type.String({ pattern: '^[0-9]{1,32}$' })),
});

type NameAndId = Static<typeof NameAndId>;

export const AdReference = Type.Object({
  campaign: NameAndId,
  adset: NameAndId,
  ad: NameAndId,
  placement: Nullable(Text(512)),
});

export type AdReference = Static<typeof AdReference>;

/** The link's parameters, decoded; null where the link has none. */
export interface AdParameters {
  readonly campaign: string | null;
  readonly medium: string | null;
  readonly content: string | null;
  readonly term: string | null;
}

export function adReferenceOf({ campaign, medium, content, term }: AdParameters): AdReference {
  return {
    campaign: nameAndId(campaign),
    adset: nameAndId(medium),
    ad: nameAndId(content),
    placement: expanded(term),
  };
}

const metaId = /^[0-9]{1,32}$/;

/**
 * Split on the last `|`, since a name may hold one too. What follows it is an id only if it is one;
 * otherwise all of the text is the name.
 */
function nameAndId(value: string | null): NameAndId {
  const text = value ?? '';
  const bar = text.lastIndexOf('|');
  const last = text.slice(bar + 1).trim();
  const isId = bar !== -1 && metaId.test(last);
  if (isId) return { name: expanded(text.slice(0, bar)), id: last };
  // An id that Meta did not fill in is no part of the name.
  const name = bar !== -1 && unexpanded.test(last) ? text.slice(0, bar) : text;
  return { name: expanded(name), id: null };
}

const unexpanded = /\{\{[^{}]*\}\}/;

/** Null for nothing, and for a macro that stands as it was typed: nobody's name. */
function expanded(value: string | null): string | null {
  const text = value?.trim();
  return !text || unexpanded.test(text) ? null : text;
}
