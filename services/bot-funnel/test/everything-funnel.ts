/** A funnel that uses everything a funnel can have, whose waits are over when a test says so, and not before. */
import type { CatalogItem } from '@rastro/events';
import { product } from './world-catalog.ts';

export const products = [
  { ...product('ebook', 'E-book', 1990), accessAfterRefund: 'stays' as const },
  product('promo', 'Promo', 990),
];
export const pixExpiryMs = 30 * 60_000;

export const funnel: CatalogItem<'funnel'> = {
  id: 'default',
  steps: [
    { id: 'welcome', text: 'Olá', buttons: [{ label: 'Mais', goto: 'more' }], next: 'second' },
    { id: 'second', text: 'E mais uma coisa…', delaySeconds: 300, buttons: [] },
    {
      id: 'more',
      text: 'Um e-book <b>',
      branches: [{ when: 'paid', product: null, goto: 'members' }],
      buttons: [
        {
          label: 'Comprar',
          buy: 'ebook',
          bump: { product: 'promo', text: 'E o curso & tal?', accept: 'Sim', decline: 'Não' },
        },
      ],
    },
    { id: 'nudge', text: 'Ainda aí?', buttons: [{ label: 'Voltar', goto: 'more' }] },
    { id: 'reminder', text: 'O seu PIX espera', buttons: [{ label: 'Ver PIX', buy: 'ebook' }] },
    { id: 'cheaper', text: 'Por R$ 9,90?', buttons: [{ label: 'Aceito', buy: 'promo' }] },
    { id: 'members', text: 'Bem-vindo', buttons: [{ label: 'Site', url: 'https://example.com' }] },
  ],
  followUps: [
    { id: 'a', on: 'stalled', step: null, product: null, afterMinutes: 20, goto: 'nudge' },
    {
      id: 'b',
      on: 'pix_unpaid',
      step: null,
      product: 'ebook',
      afterMinutes: 10,
      goto: 'reminder',
    },
    { id: 'c', on: 'pix_expired', step: null, product: 'ebook', afterMinutes: 0, goto: 'cheaper' },
  ],
  messages: { paid: 'Oba, {product}!' },
  privacy: { controller: 'Loja', contact: 'privacidade@example.com', policyUrl: null },
};
