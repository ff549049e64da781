import { byId, getJson, h, keyedList, poll, sendJson, watchFaults } from './dom.js';
import { presets } from './fault-presets.js';

function presetId(preset) {
  return `preset-${preset.id}`;
}

async function turnOn(preset) {
  const times = byId('times').value;
  const probability = byId('probability').value;
  const { id: _id, title: _title, note: _note, ...rule } = preset;
  await sendJson('POST', '/control/faults', {
    ...rule,
    id: presetId(preset),
    ...(times === '' ? {} : { times: Number(times) }),
    ...(probability === '' ? {} : { probability: Number(probability) }),
  });
  await refresh();
}

async function turnOff(id) {
  await sendJson('DELETE', `/control/faults/${encodeURIComponent(id)}`);
  await refresh();
}

function renderPreset(preset) {
  const toggle = h('input', { type: 'checkbox', role: 'switch', 'data-preset': preset.id });
  toggle.addEventListener('change', () => {
    void (toggle.checked ? turnOn(preset) : turnOff(presetId(preset)));
  });
  return h(
    'label',
    { class: 'preset' },
    toggle,
    h('span', {}, h('strong', {}, preset.title), h('small', {}, preset.note)),
  );
}

for (const [group, list] of Object.entries(presets)) {
  byId('presets').append(
    h(
      'section',
      { class: 'preset-group' },
      h('h2', {}, group),
      h('div', { class: 'preset-list' }, list.map(renderPreset)),
    ),
  );
}

function isLive(rule) {
  return rule.times === undefined || rule.used < rule.times;
}

function renderRule(rule) {
  const limit = rule.times === undefined ? '' : ` de ${rule.times}`;
  const look = isLive(rule) ? 'warn' : '';
  return h(
    'article',
    { class: 'rule' },
    h('span', { class: `pill ${look}` }, isLive(rule) ? 'ligada' : 'gasta'),
    h('strong', {}, rule.api),
    h('code', {}, JSON.stringify({ ...rule.match, ...rule.action })),
    rule.probability !== undefined && h('small', {}, `chance ${rule.probability}`),
    h('small', {}, `usada ${rule.used}${limit}`),
    h('button', { class: 'button small quiet', onclick: () => void turnOff(rule.id) }, 'Remover'),
  );
}

const showRules = keyedList(byId('active'), (rule) => rule.id, renderRule);

async function refresh() {
  const { seed, rules } = await getJson('/control/faults');
  if (document.activeElement !== byId('seed')) byId('seed').value = String(seed);
  for (const toggle of document.querySelectorAll('[data-preset]')) {
    const rule = rules.find((one) => one.id === `preset-${toggle.dataset.preset}`);
    toggle.checked = rule !== undefined && isLive(rule);
  }
  showRules(rules);
}

async function clearAll() {
  await sendJson('DELETE', '/control/faults');
  await refresh();
}

async function changeSeed() {
  const { rules } = await getJson('/control/faults');
  const kept = rules.map(({ used: _used, ...rule }) => rule);
  await sendJson('PUT', '/control/faults', { seed: Number(byId('seed').value), rules: kept });
}

function readRule() {
  try {
    return JSON.parse(byId('custom').value);
  } catch {
    return null;
  }
}

async function addCustom() {
  const rule = readRule();
  const problem = byId('problem');
  const { ok, body } =
    rule === null
      ? { ok: false, body: { error: 'Isto não é JSON.' } }
      : await sendJson('POST', '/control/faults', rule);
  problem.textContent = ok ? '' : body.error;
  problem.hidden = ok;
  await refresh();
}

byId('clear').addEventListener('click', () => void clearAll());
byId('seed').addEventListener('change', () => void changeSeed());
byId('add').addEventListener('click', () => void addCustom());
poll(refresh, 2000);
watchFaults();
