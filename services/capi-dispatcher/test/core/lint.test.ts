/**
 * Goal: each known complaint of Meta is predicted for the event that causes it, and for no other.
 * Method: one sound PageView and one sound Purchase, spoilt in one way at a time.
 */
import t from 'tap';
import { userDataTools } from '../../src/adapters/user-data-tools.ts';
import { type Circumstances, type ComplaintCode, lint } from '../../src/core/lint.ts';
import type { ServerEvent } from '../../src/core/server-event.ts';

const nowSeconds = 1_763_640_100;
const day = 86_400;
const hash = 'a'.repeat(64);
const circumstances: Circumstances = {
  nowSeconds,
  fbclid: 'IwAR2',
  publicIp: userDataTools.publicIp,
};

const pageView: ServerEvent = {
  event_name: 'PageView',
  event_time: nowSeconds - 3,
  event_id: 'evt_1',
  action_source: 'website',
  event_source_url: 'https://go.example.com/go/promo?fbclid=IwAR2&utm_source=fb',
  user_data: {
    client_ip_address: '2804:14c::1',
    client_user_agent: 'Mozilla/5.0',
    fbc: 'fb.1.1763640000000.IwAR2.AQQCAQMC',
    fbp: 'fb.1.1763640000000.1',
    external_id: [hash],
  },
  data_processing_options: [],
};
const purchase: ServerEvent = {
  ...pageView,
  event_name: 'Purchase',
  event_source_url: 'https://go.example.com/delivery/',
  custom_data: {
    currency: 'BRL',
    value: 19.9,
    content_ids: ['ebook'],
    content_name: 'E-book',
    content_type: 'product',
    contents: [{ id: 'ebook', quantity: 1, item_price: 19.9 }],
    order_id: 'order',
  },
};

const codesOf = (event: ServerEvent, known = circumstances): ComplaintCode[] =>
  lint(event, known).map(({ code }) => code);

/** A spoilt event need not be one that our types allow. */
const spoilt = (event: ServerEvent, fields: object): ServerEvent => ({ ...event, ...fields });
const withData = (fields: object, event = pageView): ServerEvent =>
  spoilt(event, { user_data: JSON.parse(JSON.stringify({ ...event.user_data, ...fields })) });

await t.test('nothing is said of sound events', async (t) => {
  t.strictSame(lint(pageView, circumstances), []);
  t.strictSame(lint(purchase, circumstances), []);
});

await t.test('each mistake alone gets its own complaint', async (t) => {
  const aged = (seconds: number) => spoilt(pageView, { event_time: nowSeconds - seconds });
  const cases: [ComplaintCode, ServerEvent][] = [
    ['missing_event_id', spoilt(pageView, { event_id: '' })],
    ['event_time_in_future', aged(-61)],
    ['event_time_late', aged(2 * 3_600 + 1)],
    ['event_time_a_day_late', aged(day)],
    ['event_time_too_old', aged(7 * day + 1)],
    ['missing_url', spoilt(purchase, { event_source_url: '' })],
    ['url_not_web', spoilt(purchase, { event_source_url: 'go.example.com/delivery' })],
    ['url_of_telegram', spoilt(purchase, { event_source_url: 'https://t.me/a_bot?start=x' })],
    ['missing_user_agent', withData({ client_user_agent: undefined })],
    ['missing_ip', withData({ client_ip_address: undefined })],
    ['ip_not_public', withData({ client_ip_address: '10.0.0.1' })],
    ['ip_not_public', withData({ client_ip_address: '100.64.0.1' })],
    ['ip_not_public', withData({ client_ip_address: '::ffff:177.10.20.30' })],
    ['ip_is_v4', withData({ client_ip_address: '177.10.20.30' })],
    ['fbc_malformed', withData({ fbc: 'fb.1.1763640000.IwAR2' })],
    ['fbc_malformed', withData({ fbc: 'IwAR2' })],
    ['fbc_of_another_click', withData({ fbc: 'fb.1.1763640000000.iwar2' })],
    ['fbc_of_another_click', withData({ fbc: 'fb.1.1763640000000.Other' }, purchase)],
    ['fbc_expired', withData({ fbc: `fb.1.${(nowSeconds - 91 * day) * 1_000}.IwAR2` })],
    ['missing_fbc', withData({ fbc: undefined })],
    ['missing_fbc', withData({ fbc: undefined }, purchase)],
    ['fbp_malformed', withData({ fbp: 'fb.1.1763640000.1' })],
    ['missing_fbp', withData({ fbp: undefined })],
    ['missing_external_id', withData({ external_id: undefined })],
    ['external_id_not_hashed', withData({ external_id: ['123'] })],
    ['parameter_not_hashed', withData({ em: ['jose@example.com'] })],
    ['parameter_not_hashed', withData({ country: 'br' })],
    ['parameter_unknown', withData({ click_id: 'IwAR2' })],
    ['parameter_empty', withData({ external_id: [] })],
    ['missing_value', spoilt(purchase, { custom_data: { ...purchase.custom_data, value: null } })],
    [
      'missing_value',
      spoilt(purchase, { custom_data: { ...purchase.custom_data, value: '19,9' } }),
    ],
    ['value_zero', spoilt(purchase, { custom_data: { ...purchase.custom_data, value: 0 } })],
    [
      'missing_currency',
      spoilt(purchase, { custom_data: { ...purchase.custom_data, currency: 'R$' } }),
    ],
    [
      'missing_contents',
      spoilt(purchase, { custom_data: { ...purchase.custom_data, contents: [] } }),
    ],
  ];
  for (const [code, event] of cases) t.strictSame(codesOf(event), [code], code);
  const untyped = spoilt(purchase, { custom_data: undefined });
  t.strictSame(codesOf(untyped), ['missing_value', 'missing_currency', 'missing_contents']);
});

await t.test('the limits themselves are no mistakes', async (t) => {
  for (const [age, codes] of [
    [-60, []],
    [2 * 3_600, []],
    [7 * day, ['event_time_a_day_late']],
  ] as const) {
    t.strictSame(codesOf(spoilt(pageView, { event_time: nowSeconds - age })), codes, String(age));
  }
});

await t.test('a click without an fbclid, and a customer without a click', async (t) => {
  const organic = { ...circumstances, fbclid: null };
  const url = { event_source_url: 'https://go.example.com/go/promo' };
  t.strictSame(codesOf(spoilt(withData({ fbc: undefined }), url), organic), ['no_click_id']);
  t.strictSame(codesOf(withData({ fbc: undefined }, purchase), organic), []);
});

await t.test('what could be anybody is predicted as refused', async (t) => {
  const event = spoilt(purchase, { user_data: { client_user_agent: 'x', country: [hash] } });
  const complaints = lint(event, { ...circumstances, fbclid: null });
  const refused = complaints.filter(({ severity }) => severity === 'refused');
  t.strictSame(
    refused.map(({ code }) => code),
    ['too_broad'],
  );
});

await t.test('a complaint says what is wrong in one short line', async (t) => {
  const complaints = lint(
    withData({ fbp: undefined, client_user_agent: undefined }),
    circumstances,
  );
  t.strictSame(complaints, [
    {
      code: 'missing_user_agent',
      severity: 'warning',
      detail: 'No client_user_agent: Meta matches fewer people.',
    },
    {
      code: 'missing_fbp',
      severity: 'hint',
      detail: 'No fbp: the Pixel did not run, and no cookie was set.',
    },
  ]);
});
