import { byId, clock, getJson, h, keyedList, poll, watchFaults } from './dom.js';
import { renderRequest } from './requests.js';
import { inPortuguese } from './warning-words.js';

const verdicts = {
  paired: ['Deduplicado: contado 1 vez', 'good'],
  browser_only: ['Só navegador', 'info'],
  server_only: ['Só servidor', 'info'],
  server_duplicate: ['Servidor em dobro', 'bad'],
  counted_twice: ['Contado 2 vezes', 'bad'],
  no_event_id: ['Sem event_id', 'warn'],
};
const verdictNotes = {
  server_duplicate:
    'O servidor repetiu o event_id. A Meta não documenta que descarta a cópia repetida.',
  counted_twice: 'As cópias chegaram com mais de 48 h entre elas: a Meta conta as duas.',
  no_event_id: 'Sem event_id não há como juntar navegador e servidor.',
};

function money(copy) {
  if (copy.value === null) return null;
  const currency = /^[a-z]{3}$/i.test(copy.currency ?? '') ? copy.currency : 'BRL';
  return copy.value.toLocaleString('pt-BR', { style: 'currency', currency });
}

/** Whether Meta discards a repeated server copy is documented nowhere. */
function fateOf(copy, group) {
  if (group.keptIds.includes(copy.id)) return ['vale', 'good'];
  const isRepeated = copy.source === 'server' && group.server[0]?.id !== copy.id;
  return isRepeated ? ['incerta', 'bad'] : ['descartada', ''];
}

function delay(ms) {
  if (ms < 1000) return `+${ms} ms`;
  return `+${(ms / 1000).toLocaleString('pt-BR', { maximumFractionDigits: 1 })} s`;
}

function renderCopy(copy, group) {
  const [fate, look] = fateOf(copy, group);
  const lateMs = copy.receivedAtMs - group.firstReceivedAtMs;
  return h(
    'div',
    { class: `copy ${fate === 'vale' ? 'kept' : 'discarded'}` },
    h(
      'div',
      { class: 'copy-head' },
      h('b', {}, clock(copy.receivedAtMs)),
      lateMs > 0 && h('small', {}, delay(lateMs)),
      h('span', { class: `pill ${look}` }, fate),
      copy.testEventCode && h('span', { class: 'pill warn' }, copy.testEventCode),
      money(copy) && h('strong', { class: 'value' }, money(copy)),
    ),
    h(
      'div',
      { class: 'chips' },
      copy.matchKeys.map((key) => h('span', {}, key)),
    ),
    copy.eventSourceUrl && h('small', { class: 'url' }, copy.eventSourceUrl),
    h('details', {}, h('summary', {}, 'JSON'), h('pre', {}, JSON.stringify(copy.raw, null, 2))),
  );
}

function renderSide(name, copies, group) {
  return h(
    'div',
    { class: 'side' },
    h('h3', {}, name),
    copies.length === 0
      ? h('p', { class: 'nothing' }, 'nada recebido')
      : copies.map((copy) => renderCopy(copy, group)),
  );
}

function renderGroup(group) {
  const [words, look] = verdicts[group.verdict];
  const value = [...group.browser, ...group.server].map(money).find((text) => text !== null);
  const note = verdictNotes[group.verdict];
  return h(
    'article',
    { class: `event ${look}`, 'data-event-id': group.eventId, 'data-verdict': group.verdict },
    h(
      'header',
      {},
      h('h2', {}, group.eventName),
      value && h('strong', { class: 'value' }, value),
      h('span', { class: `pill ${look}` }, words),
      h('small', { class: 'pixel' }, `pixel ${group.pixelId}`),
    ),
    h('code', { class: 'event-id' }, group.eventId ?? 'sem event_id'),
    note && h('p', { class: 'problem' }, note),
    h(
      'div',
      { class: 'sides' },
      renderSide('Navegador · Pixel', group.browser, group),
      renderSide('Servidor · API de Conversões', group.server, group),
    ),
    group.warnings.length > 0 &&
      h(
        'ul',
        { class: 'warnings' },
        group.warnings.map((text) => h('li', {}, inPortuguese(text))),
      ),
  );
}

function renderFigures(groups, requests) {
  const paired = groups.filter((group) => group.verdict === 'paired').length;
  const doubled = groups.reduce((sum, group) => sum + group.serverDuplicates, 0);
  const twice = groups.filter((group) => group.verdict === 'counted_twice').length;
  const refused = requests.filter((one) => !one.accepted).length;
  const figure = (number, words, look) =>
    h('div', { class: `figure ${look}` }, h('b', {}, number), h('span', {}, words));
  byId('figures').replaceChildren(
    figure(groups.length, 'eventos', ''),
    figure(paired, 'pares navegador + servidor', 'good'),
    figure(doubled, 'cópias em dobro do servidor', doubled > 0 ? 'bad' : ''),
    figure(twice, 'contados duas vezes', twice > 0 ? 'bad' : ''),
    figure(refused, 'requisições recusadas', refused > 0 ? 'warn' : ''),
  );
}

const showGroups = keyedList(
  byId('events'),
  (group) => `${group.pixelId} ${group.eventName} ${group.eventId ?? group.keptIds[0]}`,
  renderGroup,
);
const showRequests = keyedList(byId('requests'), (request) => request.id, renderRequest);
let seenRevision = null;

async function refresh(isForced) {
  const { revision } = await getJson('/control/graph/revision');
  if (!isForced && revision === seenRevision) return;
  const query = new URLSearchParams({ limit: '200' });
  if (byId('pixel').value !== '') query.set('pixelId', byId('pixel').value);
  const [groups, requests] = await Promise.all([
    getJson(`/control/graph/events?${query}`),
    getJson(`/control/graph/requests?${query}`),
  ]);
  seenRevision = revision;
  renderFigures(groups, requests);
  showGroups(groups);
  showRequests(requests);
  const isEvents = byId('tab-events').getAttribute('aria-selected') === 'true';
  byId('empty').hidden = (isEvents ? groups : requests).length > 0;
}

function select(name) {
  for (const other of ['events', 'requests']) {
    byId(`tab-${other}`).setAttribute('aria-selected', String(other === name));
    byId(other).hidden = other !== name;
  }
  void refresh(true);
}

byId('tab-events').addEventListener('click', () => select('events'));
byId('tab-requests').addEventListener('click', () => select('requests'));
byId('pixel').addEventListener('change', () => void refresh(true));
poll(() => refresh(false), 1500);
watchFaults();
