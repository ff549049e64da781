/** Elements from code: texts are always texts, never markup. */
export function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  for (const child of children.flat()) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
  return element;
}

export function byId(id) {
  return document.getElementById(id);
}

export async function getJson(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return response.json();
}

/** Answers `{ok, body}`; a refusal's words are in `body.error`. */
export async function sendJson(method, url, body) {
  const response = await fetch(url, {
    method,
    headers: body === undefined ? {} : { 'content-type': 'application/json' },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  return { ok: response.ok, body: await response.json().catch(() => ({})) };
}

/** Asks again and again while the page is seen; a failure only means asking later. */
export function poll(task, everyMs) {
  const turn = async () => {
    if (!document.hidden) await task().catch(() => {});
    setTimeout(turn, everyMs);
  };
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) void task().catch(() => {});
  });
  void turn();
}

/**
 * Shows a list without flicker: an item's element is made anew only when the item changed, and an
 * opened detail stays open.
 */
export function keyedList(container, keyOf, render) {
  const known = new Map();
  return (items) => {
    const seen = new Set();
    let before = null;
    for (const item of items) {
      const key = keyOf(item);
      const json = JSON.stringify(item);
      seen.add(key);
      let entry = known.get(key);
      if (entry === undefined || entry.json !== json) {
        const element = render(item);
        if (entry !== undefined) {
          keepOpen(entry.element, element);
          entry.element.replaceWith(element);
        }
        entry = { json, element };
        known.set(key, entry);
      }
      const place = before === null ? container.firstChild : before.nextSibling;
      if (place !== entry.element) container.insertBefore(entry.element, place);
      before = entry.element;
    }
    for (const [key, entry] of known) {
      if (seen.has(key)) continue;
      entry.element.remove();
      known.delete(key);
    }
  };
}

function keepOpen(before, after) {
  const old = before.querySelectorAll('details');
  after.querySelectorAll('details').forEach((detail, index) => {
    if (old[index]?.open) detail.open = true;
  });
}

export function reais(cents) {
  return (cents / 100).toLocaleString('pt-BR', { style: 'currency', currency: 'BRL' });
}

export function clock(ms) {
  return new Date(ms).toLocaleTimeString('pt-BR');
}

/** The number of active faults, in the menu of every page. */
export function watchFaults() {
  const badge = byId('fault-count');
  if (badge === null) return;
  poll(async () => {
    const { rules } = await getJson('/control/faults');
    const live = rules.filter((rule) => rule.times === undefined || rule.used < rule.times);
    badge.textContent = String(live.length);
    badge.hidden = live.length === 0;
  }, 3000);
}
