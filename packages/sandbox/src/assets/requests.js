import { clock, h } from './dom.js';

/** What became of a request, in one pill. */
function outcomeOf(request) {
  if (request.dropped) return ['aceita, resposta cortada', 'warn'];
  if (request.accepted) return ['aceita', 'good'];
  if (request.status === null) return ['conexão cortada', 'bad'];
  return [
    request.faulted ? `falha ligada · ${request.status}` : `recusada · ${request.status}`,
    'bad',
  ];
}

export function renderRequest(request) {
  const [words, look] = outcomeOf(request);
  const subcode = request.subcode === null ? '' : `/${request.subcode}`;
  const code = request.code === null ? null : `código ${request.code}${subcode}`;
  const names = request.events.map((event) => `${event.eventName} ${event.eventId ?? ''}`.trim());
  return h(
    'article',
    { class: 'request' },
    h('b', {}, clock(request.atMs)),
    h('span', { class: `pill ${look}` }, words),
    h('span', {}, `${request.eventCount} evento${request.eventCount === 1 ? '' : 's'}`),
    h('small', {}, `${request.version} · pixel ${request.pixelId} · ${request.durationMs} ms`),
    !request.tokenOk && !request.faulted && h('span', { class: 'pill bad' }, 'token recusado'),
    code && h('code', {}, code),
    request.message && h('p', {}, request.detail ?? request.message),
    names.length > 0 &&
      h(
        'div',
        { class: 'chips' },
        names.map((name) => h('span', {}, name)),
      ),
    request.fbtraceId && h('small', { class: 'trace' }, `fbtrace_id ${request.fbtraceId}`),
  );
}
