/** When something that failed is tried again, and when that ends. Times in milliseconds. */

/** 1 s, 2 s, 4 s … 60 s after the first, second, third … failed attempt. */
export function sendRetryMs(attempts: number): number {
  return Math.min(1_000 * 2 ** Math.max(0, attempts - 1), 60_000);
}

/** A message that could not be sent for this long says nothing useful any more. */
export const sendGiveUpMs = 3 * 24 * 3_600_000;

/** Telegram asks for no more than one message a second in a chat. */
export const chatPaceMs = 1_000;

/** A bot whose token was refused is not used before it has been looked at again. */
export const refusedTokenMs = 60_000;

/** 0.5 s, 1 s, 2 s … 15 s: a customer is waiting for his PIX. */
export function paymentRetryMs(attempts: number): number {
  return Math.min(500 * 2 ** Math.max(0, attempts - 1), 15_000);
}

/** How long payment-confirmer may be silent before the customer is told that it takes longer. */
export const paymentTellMs = 20_000;

/** After this the customer has to press again. */
export const paymentGiveUpMs = 10 * 60_000;

/** How long a /start may be older than the ClickTracked that it names. */
export const clickWaitMs = 3_000;
