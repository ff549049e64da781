import { byId, getJson, h, keyedList, poll, sendJson } from './dom.js';
import { formatted, pixCodesOf } from './entities.js';

const { bot, payload, deepLink } = byId('chat').dataset;
const customer = {
  id: Number(byId('chat').dataset.customer),
  first_name: byId('chat').dataset.name,
  language_code: byId('chat').dataset.language,
};
/** A deep link shows START again even in a conversation that goes on. */
let isStartDue = deepLink === 'true';
let shownAnswers = null;
let toastTimer = 0;

const list = byId('messages');
const showMessages = keyedList(list, (message) => message.message_id, renderMessage);

function base() {
  return `/control/telegram/chats/${encodeURIComponent(bot)}/${customer.id}`;
}

function toast(...content) {
  const box = byId('toast');
  box.replaceChildren(...content);
  box.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => {
    box.hidden = true;
  }, 4000);
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without permission (or https) the old way still works.
    const area = h('textarea', { class: 'offscreen' });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
  const isPix = /br\.gov\.bcb\.pix/i.test(text);
  const href = `/bank?code=${encodeURIComponent(text)}`;
  const link = h('a', { href, target: '_blank' }, 'Abrir meu banco');
  toast(h('span', {}, 'Copiado'), isPix ? link : '');
}

function renderMessage(message) {
  const isMine = !message.from.is_bot;
  const time = new Date(message.date * 1000).toLocaleTimeString('pt-BR', {
    hour: '2-digit',
    minute: '2-digit',
  });
  const photo = message.photo?.at(-1);
  const text = message.text ?? message.caption;
  const entities = message.entities ?? message.caption_entities;
  const bubble = h(
    'div',
    { class: `bubble${photo ? ' with-photo' : ''}` },
    linkedFile(message),
    photo && h('img', { src: `/telegram/file/${photo.file_id}`, alt: 'Imagem', ...sizeOf(photo) }),
    text === undefined ? null : h('div', { class: 'text' }, formatted(text, entities, copy)),
    h('small', { class: 'time' }, message.edit_date ? `editada ${time}` : time, isMine && ' ✓✓'),
  );
  const rows = message.reply_markup?.inline_keyboard ?? [];
  const keyboard = h(
    'div',
    { class: 'keyboard' },
    rows.map((row) =>
      h(
        'div',
        {},
        row.map((button) => renderButton(message, button)),
      ),
    ),
  );
  return h(
    'article',
    { class: isMine ? 'message mine' : 'message', 'data-message-id': message.message_id },
    bubble,
    rows.length > 0 && keyboard,
  );
}

/** Files that the stand-in knows by their address only; the browser fetches them, if it can. */
function linkedFile(message) {
  const { video, animation, audio, voice, document: paper } = message;
  const moving = video ?? animation;
  if (moving) {
    const looped = { autoplay: true, loop: true, muted: true };
    const shown = { class: 'file', src: moving.url, controls: true, preload: 'metadata' };
    return h('video', { ...shown, ...(animation ? looped : {}) });
  }
  const sound = audio ?? voice;
  if (sound) return h('audio', { class: 'file', src: sound.url, controls: true, preload: 'none' });
  if (!paper) return null;
  const name = paper.url.split(/[?#]/)[0].split('/').at(-1) || paper.url;
  const link = { class: 'file', href: paper.url, target: '_blank', rel: 'noopener noreferrer' };
  return h('a', link, `📄 ${name}`);
}

function sizeOf({ width, height }) {
  const scale = Math.min(1, 280 / Math.max(width, height));
  const enlarged = Math.max(width, height) < 120 ? 200 / Math.max(width, height) : scale;
  return { width: Math.round(width * enlarged), height: Math.round(height * enlarged) };
}

function renderButton(message, button) {
  if (button.url !== undefined) {
    const link = { class: 'key', href: button.url, target: '_blank', rel: 'noopener noreferrer' };
    return h('a', link, button.text, h('i', { 'aria-hidden': 'true' }, '↗'));
  }
  if (button.copy_text !== undefined) {
    const onclick = () => void copy(button.copy_text.text);
    const copied = { class: 'key', type: 'button', onclick, 'data-copy': button.copy_text.text };
    return h(
      'button',
      copied,
      button.text,
      h('img', { src: '/assets/copy.svg', alt: '', width: 12, height: 12 }),
    );
  }
  const press = async (event) => {
    const key = event.currentTarget;
    key.classList.add('waiting');
    setTimeout(() => key.classList.remove('waiting'), 3000);
    const body = { messageId: message.message_id, callbackData: button.callback_data };
    await sendJson('POST', `${base()}/press`, body);
    void refresh();
  };
  const pressed = { class: 'key', type: 'button', onclick: press };
  return h('button', { ...pressed, 'data-callback': button.callback_data }, button.text);
}

function showComposer(state) {
  const mustStart = isStartDue || !state.started;
  byId('start').hidden = !mustStart;
  byId('unblock').hidden = mustStart || !state.blocked;
  byId('form').hidden = mustStart || state.blocked;
  byId('hello').hidden = state.messages.length > 0;
  byId('block').textContent = state.blocked ? 'Desbloquear o bot' : 'Bloquear o bot';
  byId('block').disabled = !state.started;
  const acting = state.chatAction === 'typing' ? 'digitando…' : 'enviando…';
  byId('status').textContent = state.chatAction === null ? 'bot' : acting;
}

function showAnswers(answers) {
  const fresh =
    shownAnswers === null ? [] : answers.filter((one) => !shownAnswers.has(one.queryId));
  shownAnswers = new Set(answers.map((one) => one.queryId));
  for (const key of fresh.length > 0 ? list.querySelectorAll('.waiting') : []) {
    key.classList.remove('waiting');
  }
  for (const answer of fresh) {
    if (answer.text === '') continue;
    if (answer.showAlert) {
      byId('alert-text').textContent = answer.text;
      byId('alert').showModal();
    } else {
      toast(answer.text);
    }
  }
}

function showPix(messages) {
  const code = messages.flatMap(pixCodesOf).at(-1);
  byId('pix-bar').hidden = code === undefined;
  if (code !== undefined) byId('open-bank').href = `/bank?code=${encodeURIComponent(code)}`;
}

async function refresh() {
  const state = await getJson(base());
  const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 80;
  const before = list.childElementCount;
  showMessages(state.messages);
  showComposer(state);
  showAnswers(state.callbackAnswers);
  showPix(state.messages);
  if (isAtEnd || list.childElementCount > before) list.scrollTop = list.scrollHeight;
}

async function act(action, body) {
  const { ok, body: answer } = await sendJson('POST', `${base()}/${action}`, body ?? {});
  if (!ok) toast(answer.error ?? 'Não deu certo.');
  await refresh();
}

byId('start').addEventListener('click', () => {
  // The link's payload goes with the first START only; later ones are a plain /start.
  const due = isStartDue ? payload : '';
  isStartDue = false;
  void act('start', { payload: due, user: customer });
});
byId('unblock').addEventListener('click', () => void act('unblock'));
byId('form').addEventListener('submit', (event) => {
  event.preventDefault();
  const text = byId('text').value.trim();
  if (text === '') return;
  byId('text').value = '';
  void act('send', { text });
});
byId('menu-button').addEventListener('click', () => {
  const isOpen = byId('menu').hidden;
  byId('menu').hidden = !isOpen;
  byId('menu-button').setAttribute('aria-expanded', String(isOpen));
});
document.addEventListener('click', (event) => {
  if (event.target.closest('#menu, #menu-button') === null) byId('menu').hidden = true;
});
byId('block').addEventListener('click', () => {
  const isBlocked = byId('block').textContent.startsWith('Des');
  byId('menu').hidden = true;
  void act(isBlocked ? 'unblock' : 'block');
});
byId('new-customer').addEventListener('click', () => {
  void sendJson('POST', '/telegram/customer').then(() => location.reload());
});
byId('alert-close').addEventListener('click', () => byId('alert').close());

// Images grow after they load; the newest message stays in sight.
list.addEventListener('load', () => (list.scrollTop = list.scrollHeight), true);
poll(refresh, 700);
