/** A funnel as data, and what its buttons say when they are pressed. */
import type { CatalogItem } from '@rastro/events';

type Funnel = CatalogItem<'funnel'>;
export type FunnelStep = Funnel['steps'][number];
export type FunnelButton = FunnelStep['buttons'][number];
export type StepMedia = NonNullable<FunnelStep['media']>;
export type FollowUp = NonNullable<Funnel['followUps']>[number];
export type FunnelPrivacy = NonNullable<Funnel['privacy']>;

/** One version of a funnel, kept for those who are inside it. */
export interface FunnelSnapshot extends Omit<Funnel, 'id'> {
  /** Short name of this very version; buttons carry it, since Telegram gives them 64 bytes. */
  readonly key: string;
  readonly funnelId: string;
  readonly version: number;
}

/** A button of a step of one version. */
export interface Place {
  readonly snapshotKey: string;
  readonly step: number;
  readonly button: number;
}

/** What a pressed button asks for. */
export type Press =
  | ({ readonly type: 'step_button' } & Place)
  /** The answer to the order bump of a buy button. */
  | ({ readonly type: 'bump'; readonly isAccepted: boolean } & Place)
  | { readonly type: 'buy_again'; readonly checkoutId: string }
  | { readonly type: 'already_paid'; readonly paymentId: string }
  | { readonly type: 'erase' };

/** Telegram's `callback_data`: at most 64 bytes, so it names places instead of ids. */
export function encodePress(press: Press): string {
  switch (press.type) {
    case 'step_button':
      return `s:${press.snapshotKey}:${press.step}:${press.button}`;
    case 'bump':
      return `b:${press.snapshotKey}:${press.step}:${press.button}:${press.isAccepted ? 1 : 0}`;
    case 'buy_again':
      return `again:${press.checkoutId}`;
    case 'already_paid':
      return `paid:${press.paymentId}`;
    case 'erase':
      return 'erase';
  }
}

const uuid = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}';
const place = String.raw`(\d{1,15}):(\d{1,3}):(\d{1,3})`;
const stepPattern = new RegExp(`^s:${place}$`);
const bumpPattern = new RegExp(`^b:${place}:([01])$`);
const againPattern = new RegExp(`^again:(${uuid})$`);
const paidPattern = new RegExp(`^paid:(${uuid})$`);

/** Null for anything that none of our buttons says. */
export function parsePress(data: string): Press | null {
  const step = stepPattern.exec(data);
  if (step !== null) return { type: 'step_button', ...placeIn(step) };
  const bump = bumpPattern.exec(data);
  if (bump !== null) return { type: 'bump', ...placeIn(bump), isAccepted: bump[4] === '1' };
  const checkoutId = againPattern.exec(data)?.[1];
  if (checkoutId !== undefined) return { type: 'buy_again', checkoutId };
  const paymentId = paidPattern.exec(data)?.[1];
  if (paymentId !== undefined) return { type: 'already_paid', paymentId };
  return data === 'erase' ? { type: 'erase' } : null;
}

function placeIn([, snapshotKey = '', step, button]: readonly string[]): Place {
  return { snapshotKey, step: Number(step), button: Number(button) };
}

/** The version whose button it was, where it is one of a step. */
export function snapshotKeyOf(press: Press | null): string | null {
  return press?.type === 'step_button' || press?.type === 'bump' ? press.snapshotKey : null;
}

/** Place of a step in its funnel, or -1. */
export function stepIndex(funnel: FunnelSnapshot, stepId: string): number {
  return funnel.steps.findIndex((step) => step.id === stepId);
}
