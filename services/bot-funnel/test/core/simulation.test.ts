/**
 * Goal: a funnel's branches, delays, follow-ups, bump and quiet hours do what they say, whoever
 * walks through it and whenever. Method: simulated walks of one funnel that uses everything, read
 * as a person reads them; a customer of an old version; random walks against the invariants.
 */
import fc from 'fast-check';
import t from 'tap';
import type { FunnelSnapshot } from '../../src/core/funnel.ts';
import { defaultWalk, parseWalk } from '../../src/core/simulated-walk.ts';
import { plainText, simulationText } from '../../src/core/simulation-text.ts';
import { Simulation, SimulationError } from '../../src/core/simulation.ts';

const product = (id: string, priceCents: number) => ({
  id,
  name: id.toUpperCase(),
  priceCents,
  currency: 'BRL',
  accessUrl: `https://example.com/${id}`,
});
const products = [product('ebook', 1990), product('bundle', 2990), product('promo', 990)];

const funnel: FunnelSnapshot = {
  key: '1',
  funnelId: 'default',
  version: 3,
  steps: [
    { id: 'welcome', text: 'Olá', buttons: [{ label: 'Mais', goto: 'more' }], next: 'video' },
    {
      id: 'video',
      text: 'Veja',
      media: { type: 'video', url: 'https://example.com/v.mp4' },
      delaySeconds: 60,
      branches: [{ when: 'paid', product: null, goto: 'members' }],
      buttons: [],
    },
    {
      id: 'more',
      text: 'Um e-book',
      branches: [{ when: 'paid', product: 'ebook', goto: 'members' }],
      buttons: [
        { label: 'Comprar', buy: 'ebook' },
        {
          label: 'Levar',
          buy: 'ebook',
          bump: { product: 'bundle', text: 'E o curso?', accept: 'Sim', decline: 'Não' },
        },
      ],
    },
    { id: 'nudge', text: 'Ainda aí?', buttons: [{ label: 'Voltar', goto: 'more' }] },
    { id: 'reminder', text: 'O seu PIX espera', buttons: [{ label: 'Ver PIX', buy: 'ebook' }] },
    { id: 'cheaper', text: 'Por R$ 9,90?', buttons: [{ label: 'Aceito', buy: 'promo' }] },
    { id: 'members', text: 'Bem-vindo', buttons: [] },
  ],
  followUps: [
    { id: 'nudge-1', on: 'stalled', step: null, product: null, afterMinutes: 30, goto: 'nudge' },
    { id: 'nudge-2', on: 'stalled', step: 'more', product: null, afterMinutes: 60, goto: 'nudge' },
    {
      id: 'unpaid',
      on: 'pix_unpaid',
      step: null,
      product: 'ebook',
      afterMinutes: 10,
      goto: 'reminder',
    },
    {
      id: 'downsell',
      on: 'pix_expired',
      step: null,
      product: 'ebook',
      afterMinutes: 0,
      goto: 'cheaper',
    },
    { id: 'upsell', on: 'paid', step: null, product: null, afterMinutes: 5, goto: 'members' },
  ],
  quietHours: { from: '22:00', to: '08:00', utcOffsetMinutes: -180 },
  messages: { paid: 'Oba, {product}!', disputed: 'Vimos a sua contestação.' },
};

const noon = '2026-01-15T15:00:00.000Z';

function walk(acts: string, startsAt = noon): Simulation {
  const deliveryUrl = 'https://x/delivery';
  const simulation = new Simulation({
    funnel,
    products,
    startsAt,
    pixExpiryMinutes: 30,
    deliveryUrl,
  });
  for (const act of parseWalk(acts)) simulation.act(act);
  return simulation;
}

/** The first line of all that the bot has said. */
function said({ lines }: Simulation): string[] {
  return lines.flatMap((line) =>
    line.from === 'bot' ? [plainText(line.part.html).split('\n')[0] ?? ''] : [],
  );
}
const timesOf = ({ lines }: Simulation, text: string): string[] =>
  lines.flatMap((line) => ('part' in line && line.part.html.includes(text) ? [line.at] : []));

await t.test('a step follows by itself, once its delay is over', async (t) => {
  t.strictSame(said(walk('start; wait 59s')), ['Olá']);
  t.strictSame(said(walk('start; wait 60s')), ['Olá', 'Veja']);
  t.strictSame(said(walk('start; wait 10s; press Mais; wait 5m')), ['Olá', 'Um e-book']);
  const video = walk('start; wait 1m').lines.findLast((line) => line.from === 'bot');
  t.match(video, { part: { media: { type: 'video', url: 'https://example.com/v.mp4' } } });
});

await t.test('who stops is asked again, who goes on is not', async (t) => {
  const stopped = walk('start; press Mais; wait 1d');
  t.strictSame(said(stopped), ['Olá', 'Um e-book', 'Ainda aí?', 'Ainda aí?']);
  t.strictSame(timesOf(stopped, 'Ainda aí?'), [
    '2026-01-15T15:30:00.000Z',
    '2026-01-15T16:00:00.000Z',
  ]);
  const went = walk('start; press Mais; wait 29m; press Mais; wait 29m; press Comprar; wait 5m');
  t.notOk(said(went).includes('Ainda aí?'));
  const late = walk('start; wait 1d', '2026-01-16T00:50:00.000Z');
  t.strictSame(timesOf(late, 'Ainda aí?'), ['2026-01-16T11:00:00.000Z'], 'nobody is woken up');
});

await t.test('an unpaid PIX is recalled, an expired one is offered for less', async (t) => {
  const unpaid = walk('start; press Mais; press Comprar; wait 20m; press Ver PIX');
  t.strictSame(said(unpaid), ['Olá', 'Um e-book', 'EBOOK', 'O seu PIX espera', 'EBOOK']);
  const codes = new Set(timesOf(unpaid, '<code>'));
  t.equal(codes.size, 2, 'the same code, shown again');
  const expired = walk('start; press Mais; press Comprar; wait 31m; press Aceito; pay; wait 1d');
  t.strictSame(said(expired).slice(3), [
    'O seu PIX espera',
    'Por R$ 9,90?',
    'PROMO',
    'Oba, PROMO!',
    '📦 O seu acesso a PROMO está pronto:',
    'Bem-vindo',
  ]);
  const paid = walk('start; press Mais; press Comprar; wait 5m; pay; wait 1d');
  t.notOk(said(paid).includes('O seu PIX espera'), 'nobody who has paid is reminded');
  t.notOk(said(paid).includes('Ainda aí?'));
});

await t.test('the order bump is asked once, and both answers lead to a PIX', async (t) => {
  const accepted = walk('start; press Mais; press Levar; press Sim');
  t.strictSame(said(accepted).slice(2), ['E o curso?', 'BUNDLE']);
  t.strictSame(said(walk('start; press Mais; press Levar; press Não')).slice(2), [
    'E o curso?',
    'EBOOK',
  ]);
  const again = walk('start; press Mais; press Levar; press Sim; press Levar');
  t.strictSame(said(again).slice(4), ['BUNDLE'], 'with a PIX open, it is shown again');
});

await t.test('branches follow the state of payment', async (t) => {
  const member = walk('start; press Mais; press Comprar; pay; press Mais');
  t.equal(said(member).at(-1), 'Bem-vindo');
  const back = walk('start; press Mais; press Comprar; pay; refund; press Mais');
  t.equal(said(back).at(-1), 'Um e-book', 'what was returned was not bought');
  const note = back.lines.find(({ from }) => from === 'operator_note');
  t.match(note, { part: { html: /Retire o acesso/ } });
  const circle: FunnelSnapshot = {
    ...funnel,
    steps: [
      {
        id: 'a',
        text: 'a',
        buttons: [],
        branches: [{ when: 'not_bought', product: null, goto: 'b' }],
      },
      {
        id: 'b',
        text: 'b',
        buttons: [],
        branches: [{ when: 'not_bought', product: null, goto: 'a' }],
      },
    ],
  };
  const options = { funnel: circle, products, startsAt: noon, pixExpiryMinutes: 30 };
  const lost = new Simulation({ ...options, deliveryUrl: null });
  lost.act({ type: 'start' });
  t.strictSame(said(lost), [], 'a circle ends');
});

await t.test('walks are written by people', async (t) => {
  t.throws(() => walk('start; press Nada'), { message: /no button "Nada", only "Mais"/ });
  t.throws(() => walk('start; pay'), { code: 'SIMULATION_IMPOSSIBLE' });
  t.throws(() => walk('dance'), { message: /"dance" is no act. There are: start/ });
  t.match(parseWalk('wait 1.5h; press Sim, quero; ; write oi'), [
    { ms: 5_400_000 },
    { label: 'Sim, quero' },
    { text: 'oi' },
  ]);
  const whole = new Simulation({
    funnel,
    products,
    startsAt: noon,
    pixExpiryMinutes: 30,
    deliveryUrl: null,
  });
  for (const act of defaultWalk(funnel, 30)) whole.act(act);
  t.match(simulationText(whole.lines), /▸ Comprar[\s\S]*Por R\$ 9,90\?[\s\S]*paga o PIX/);
  t.match(simulationText(whole.lines), 'https://example.com/ebook');
});

await t.test('whoever does whatever, the clock runs forward and nobody is woken up', async (t) => {
  const act = fc.constantFrom(
    'start',
    'press Mais',
    'press Comprar',
    'press Levar',
    'press Sim',
    'press Não',
    'press Ver PIX',
    'press Aceito',
    'wait 7m',
    'wait 40m',
    'wait 9h',
    'pay',
  );
  const property = fc.property(fc.array(act, { maxLength: 40 }), (acts) => {
    const simulation = walk('start');
    for (const one of acts.flatMap((text) => parseWalk(text))) {
      try {
        simulation.act(one);
      } catch (error) {
        if (!(error instanceof SimulationError)) throw error;
      }
    }
    const { lines } = simulation;
    const begun = lines.filter(
      (line) => 'part' in line && ['Ainda aí?', 'O seu PIX espera'].includes(line.part.html),
    );
    const isQuiet = begun.some(({ at }) => at.slice(11, 13) > '00' && at.slice(11, 13) < '11');
    return !isQuiet && lines.every((line, index) => line.at >= (lines[index - 1]?.at ?? ''));
  });
  t.doesNotThrow(() => fc.assert(property, { numRuns: 300 }));
});
