/** One entry on its way into the catalog, and what may be wrong with it. */
import type { CatalogItem, CatalogKind } from '@rastro/events';

export interface Draft<K extends CatalogKind = CatalogKind> {
  readonly kind: K;
  readonly id: string;
  readonly data: CatalogItem<K>;
}

/** A draft whose kind narrows its data. */
export type AnyDraft = { [K in CatalogKind]: Draft<K> }[CatalogKind];

export interface CatalogProblem {
  /** Where, as keys into the file: `['pools', 0, 'bots', 1, 'bot']`. */
  readonly path: readonly (string | number)[];
  /** What is wrong and what mends it. */
  readonly message: string;
}
