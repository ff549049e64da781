import { byId, getJson, h, keyedList, poll, reais, sendJson, watchFaults } from './dom.js';

const statusWords = {
  pending: ['aguardando', 'info'],
  paid: ['paga', 'good'],
  expired: ['vencida', 'warn'],
  cancelled: ['cancelada', 'warn'],
  refunded: ['reembolsada', 'bad'],
  partially_refunded: ['reembolso parcial', 'bad'],
  disputed: ['contestada', 'bad'],
  charged_back: ['estornada', 'bad'],
};
const reasons = [
  [/CRC/, 'Este código não está inteiro: confira se copiou tudo.'],
  [/of no charge/, 'O código é válido, mas não é de nenhuma cobrança deste banco.'],
  [/not one of PIX/, 'Este código não é de um PIX.'],
  [/expired cannot/, 'Esta cobrança venceu.'],
  [/paid cannot/, 'Esta cobrança já foi paga.'],
  [/./, 'O banco não aceitou. Tente de novo.'],
];
let reviewed = null;

function inWords(error) {
  return reasons.find(([pattern]) => pattern.test(error ?? 'x'))[1];
}

function showProblem(text) {
  byId('problem').textContent = text ?? '';
  byId('problem').hidden = text === null;
}

async function review() {
  const code = byId('code').value.trim();
  reviewed = null;
  byId('review').hidden = true;
  byId('receipt').hidden = true;
  showProblem(null);
  if (code === '') return;
  const { ok, body: charge } = await sendJson('POST', '/control/pix/decode', { code });
  if (byId('code').value.trim() !== code) return;
  if (!ok) {
    showProblem(inWords(charge.error));
    return;
  }
  reviewed = charge;
  byId('payee').textContent = charge.payee;
  byId('description').textContent = charge.description || '–';
  byId('expires').textContent = new Date(charge.expires_at).toLocaleString('pt-BR');
  byId('amount').textContent = reais(charge.amount_cents);
  byId('pay').textContent = `Pagar ${reais(charge.amount_cents)}`;
  byId('review').hidden = false;
  const isPayable = charge.status === 'pending';
  byId('pay').disabled = !isPayable;
  if (!isPayable) showProblem(`Esta cobrança está ${statusWords[charge.status][0]}.`);
}

async function pay() {
  if (reviewed === null) return;
  byId('pay').disabled = true;
  const { ok, body } = await sendJson('POST', `/control/pix/charges/${reviewed.charge_id}/pay`, {});
  if (!ok) {
    showProblem(inWords(body.error));
    return;
  }
  byId('review').hidden = true;
  byId('receipt-amount').textContent = `${reais(body.amount_cents)} para ${reviewed.payee}`;
  byId('receipt-id').textContent = body.end_to_end_id;
  byId('receipt').hidden = false;
  byId('code').value = '';
  reviewed = null;
  void refresh();
}

/** What may be done with a charge in a state. */
function actionsOf(charge) {
  const { status } = charge;
  const refund = { label: 'Reembolsar', action: 'refund', look: 'danger' };
  if (status === 'pending') {
    return [
      { label: 'Pagar', action: 'pay', look: '' },
      { label: 'Vencer já', action: 'expire', look: 'quiet' },
    ];
  }
  if (status === 'expired') {
    return [{ label: 'Pagar atrasado', action: 'pay', look: 'quiet', body: { force: true } }];
  }
  if (status === 'paid') return [refund, { label: 'Contestar', action: 'dispute', look: 'danger' }];
  if (status === 'partially_refunded') return [refund];
  if (status === 'disputed') {
    return [
      { label: 'Loja ganha', action: 'settle', look: 'quiet', body: { won: true } },
      { label: 'Loja perde', action: 'settle', look: 'danger', body: { won: false } },
      refund,
    ];
  }
  return [];
}

function renderCharge({ charge, deliveries }) {
  const [word, look] = statusWords[charge.status];
  const run =
    ({ action, body }) =>
    async (event) => {
      event.currentTarget.disabled = true;
      await sendJson('POST', `/control/pix/charges/${charge.charge_id}/${action}`, body ?? {});
      void refresh();
    };
  const buttons = actionsOf(charge).map((one) =>
    h('button', { class: `button small ${one.look}`, onclick: run(one) }, one.label),
  );
  return h(
    'article',
    { class: 'charge', 'data-charge-id': charge.charge_id },
    h('strong', { class: 'sum' }, reais(charge.amount_cents)),
    h(
      'div',
      { class: 'about' },
      h('span', {}, charge.description || 'Sem descrição'),
      h('small', {}, new Date(charge.created_at).toLocaleString('pt-BR')),
      charge.refunded_cents > 0 && h('small', {}, `${reais(charge.refunded_cents)} devolvidos`),
    ),
    h('span', { class: `pill ${look}` }, word),
    h('div', { class: 'actions' }, buttons),
    deliveries.length > 0 && renderDeliveries(deliveries),
  );
}

const deliveryWords = {
  waiting: ['tentando', 'warn'],
  delivered: ['entregue', 'good'],
  failed: ['desistiu', 'bad'],
  lost: ['perdido', 'bad'],
};

function renderDeliveries(deliveries) {
  return h(
    'ul',
    { class: 'deliveries' },
    deliveries.map((one) => {
      const [word, look] = deliveryWords[one.state];
      const last = one.attempts.at(-1);
      const note = last?.problem ? ` · ${last.status ?? 'sem resposta'}` : '';
      const tries = one.attempts.length > 1 ? ` · ${one.attempts.length} tentativas` : '';
      return h(
        'li',
        {},
        h('code', {}, one.type),
        h('span', { class: `pill ${look}` }, word),
        one.forged && h('span', { class: 'pill bad' }, 'assinatura falsa'),
        h('small', {}, note + tries),
      );
    }),
  );
}

const show = keyedList(byId('charges'), (item) => item.charge.charge_id, renderCharge);

async function refresh() {
  const [charges, webhooks] = await Promise.all([
    getJson('/control/pix/charges?limit=100'),
    getJson('/control/pix/webhooks?limit=500'),
  ]);
  byId('no-charges').hidden = charges.length > 0;
  show(
    charges.map((charge) => ({
      charge,
      deliveries: webhooks
        .filter((one) => one.chargeId === charge.charge_id)
        .map(({ type, state, forged, attempts }) => ({ type, state, forged, attempts })),
    })),
  );
}

byId('code').addEventListener('input', () => void review());
byId('pay').addEventListener('click', () => void pay());
const given = new URLSearchParams(location.search).get('code');
if (given !== null) {
  byId('code').value = given;
  void review();
}
poll(refresh, 1500);
watchFaults();
