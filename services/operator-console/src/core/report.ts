/** How checks of what an entry names look things up and say what is missing. */
import type { CatalogKind } from '@rastro/events';

/** Keys inside an entry. */
export type Path = readonly (string | number)[];
export type Report = (path: Path, message: string) => void;
export type Exists = (kind: CatalogKind, id: string) => boolean;

export const missing = (kind: CatalogKind, id: string): string =>
  `there is no ${kind} "${id}" in this workspace`;
