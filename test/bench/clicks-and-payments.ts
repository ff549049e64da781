/** Events by the ten thousand: made from their golden files, without validation, for speed. */
import { randomUUID } from 'node:crypto';
import type { RastroEvent } from '@rastro/events';
import { newId } from '@rastro/runtime';
import { sampleEvent } from '@rastro/testing';

/** Of the sample catalog's pool, which every click is of. */
export const pixelId = '1234567890';

const golden = sampleEvent('ClickTracked');

/** One that is older than the pool's hold is due at once. */
export function clickOf(clickedAt: Date): RastroEvent<'ClickTracked'> {
  const trackingToken = randomUUID().replaceAll('-', '');
  const at = clickedAt.toISOString();
  return {
    ...golden,
    id: newId(),
    subject: trackingToken,
    correlationid: trackingToken,
    time: at,
    data: {
      ...golden.data,
      trackingToken,
      rootEventId: `evt_${trackingToken}`,
      clickedAt: at,
      fbc: `fb.1.${clickedAt.getTime()}.${golden.data.fbclid}`,
    },
  };
}

const goldenPayment = sampleEvent('PaymentPaid');

/** @param trackingToken of the click that led to it. */
export function paymentOf(trackingToken: string): RastroEvent<'PaymentPaid'> {
  const at = new Date().toISOString();
  return {
    ...goldenPayment,
    id: newId(),
    subject: trackingToken,
    correlationid: trackingToken,
    time: at,
    data: {
      ...goldenPayment.data,
      paymentId: newId(),
      trackingToken,
      paidAt: at,
      confirmedAt: at,
    },
  };
}
