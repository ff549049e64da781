/** What was said of the click itself. */
import type { DataOf } from '@rastro/events';
import type { Stamped } from './register.ts';

type Click = DataOf<'ClickTracked'>;

/**
 * The first that was said; what it left empty is filled by those who said it next. A token is minted
 * once a click, so there is hardly ever a second one.
 */
export type ClickFacts =
  | (Stamped<Click> & {
      /** When the values were said that are not of the first click, by field. */
      readonly filled?: Readonly<Record<string, string>>;
    })
  | undefined;

const fields = [
  'pixelId',
  'referrer',
  'fbclid',
  'fbc',
  'clientIp',
  'userAgent',
  'language',
  'src',
  'sck',
] as const satisfies readonly (keyof Click)[];

const utmFields = [
  'source',
  'medium',
  'campaign',
  'content',
  'term',
] as const satisfies readonly (keyof Click['utm'])[];

type Facts = NonNullable<ClickFacts>;

/** Field by field the earliest that is not empty; in any order, any number of times. */
export function mergeClickFacts(a: ClickFacts, b: ClickFacts): ClickFacts {
  if (!a || !b) return a ?? b;
  const [first, second] = b.at < a.at ? [b, a] : [a, b];
  if (first.at === second.at && !first.filled && !second.filled) return first;
  const filled: Record<string, string> = {};
  const pick = (field: string, valueOf: (click: Click) => string | null): string | null => {
    const [x, y] = [valueOf(first.value), valueOf(second.value)];
    const [atX, atY] = [saidAt(first, field), saidAt(second, field)];
    const isSecond = Boolean(y) && (!x || atY < atX);
    const at = isSecond ? atY : atX;
    if (at !== first.at) filled[field] = at;
    return isSecond ? y : x;
  };
  const values = fields.map((field) => [field, pick(field, (click) => click[field])] as const);
  const utm = utmFields.map(
    (field) => [field, pick(`utm.${field}`, (click) => click.utm[field])] as const,
  );
  // The order of the fields stays that of the first click.
  const value = {
    ...first.value,
    ...Object.fromEntries(values),
    utm: { ...first.value.utm, ...Object.fromEntries(utm) },
  } as Click;
  const isFilled = Object.keys(filled).length > 0;
  return { at: first.at, value, ...(isFilled ? { filled } : {}) };
}

const saidAt = ({ at, filled }: Facts, field: string): string => filled?.[field] ?? at;
