/** A funnel as data, and what its buttons say when they are pressed. */
import type { CatalogItem } from '@rastro/events';

export type FunnelStep = CatalogItem<'funnel'>['steps'][number];
export type FunnelButton = FunnelStep['buttons'][number];
export type StepMedia = NonNullable<FunnelStep['media']>;

/** One version of a funnel, kept for those who are inside it. */
export interface FunnelSnapshot {
  /** Short name of this very version; buttons carry it, since Telegram gives them 64 bytes. */
  readonly key: string;
  readonly funnelId: string;
  readonly version: number;
  readonly steps: readonly FunnelStep[];
}

/** What a pressed button asks for. */
export type Press =
  | {
      readonly type: 'step_button';
      readonly snapshotKey: string;
      readonly step: number;
      readonly button: number;
    }
  | { readonly type: 'buy_again'; readonly checkoutId: string }
  | { readonly type: 'already_paid'; readonly paymentId: string };

/** Telegram's `callback_data`: at most 64 bytes, so it names places instead of ids. */
export function encodePress(press: Press): string {
  switch (press.type) {
    case 'step_button':
      return `s:${press.snapshotKey}:${press.step}:${press.button}`;
    case 'buy_again':
      return `again:${press.checkoutId}`;
    case 'already_paid':
      return `paid:${press.paymentId}`;
  }
}

const uuid = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}';
const stepPattern = /^s:(\d{1,15}):(\d{1,3}):(\d{1,3})$/;
const againPattern = new RegExp(`^again:(${uuid})$`);
const paidPattern = new RegExp(`^paid:(${uuid})$`);

/** Null for anything that none of our buttons says. */
export function parsePress(data: string): Press | null {
  const [, snapshotKey, step, button] = stepPattern.exec(data) ?? [];
  if (snapshotKey !== undefined) {
    return { type: 'step_button', snapshotKey, step: Number(step), button: Number(button) };
  }
  const checkoutId = againPattern.exec(data)?.[1];
  if (checkoutId !== undefined) return { type: 'buy_again', checkoutId };
  const paymentId = paidPattern.exec(data)?.[1];
  return paymentId === undefined ? null : { type: 'already_paid', paymentId };
}

/** Place of a step in its funnel, or -1. */
export function stepIndex(funnel: FunnelSnapshot, stepId: string): number {
  return funnel.steps.findIndex((step) => step.id === stepId);
}
