/** The gate: off by default, and for whoever they are; it asks only for the ad link's parameter. */
import type { CatalogItem, DataOf } from '@rastro/events';
import { firstValue, type Query } from './link-parameters.ts';

export type RefusalReason = DataOf<'ClickRefused'>['reason'];

/** @param isSame compares without telling by time how much was right. */
export function refusalReason(
  gate: CatalogItem<'pool'>['gate'],
  query: Query,
  isSame: (given: string, expected: string) => boolean,
): RefusalReason | null {
  if (!gate.enabled) return null;
  const given = firstValue(query, gate.param);
  if (given === undefined) return 'gate_parameter_missing';
  return isSame(given, gate.value) ? null : 'gate_parameter_wrong';
}
