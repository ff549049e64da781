/** Whether an account could be used as it stands in the catalog; asks no gateway. */
import type { Catalog } from '@rastro/messaging';
import { getGlobalDispatcher } from 'undici';
import { createGateways } from './adapters/gateways.ts';
import { createPaymentMetrics } from './adapters/metrics.ts';

/** @returns for an account's id, what is wrong with it, for people; null where nothing is. */
export function createAccountCheck(given: {
  readonly catalog: Catalog;
  readonly masterKey: Buffer;
  readonly publicOrigin: string;
}): (accountId: string) => string | null {
  const nowhere = 'http://127.0.0.1:9';
  const choose = createGateways({
    ...given,
    dispatcher: getGlobalDispatcher(),
    apiUrls: { mercadopago: nowhere, pushinpay: nowhere, woovi: nowhere, abacatepay: nowhere },
    metrics: createPaymentMetrics('account-check'),
  });
  return (accountId) => {
    const choice = choose(accountId);
    return choice.ok ? null : choice.message;
  };
}
