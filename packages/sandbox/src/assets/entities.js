/** A message's text with its entities, as elements. */
import { h } from './dom.js';

const tags = {
  bold: 'b',
  italic: 'i',
  underline: 'u',
  strikethrough: 's',
  code: 'code',
  pre: 'pre',
  blockquote: 'blockquote',
  expandable_blockquote: 'blockquote',
};

/** Entities nest but never cross, so each is rendered within the one that contains it. */
export function formatted(text, entities, onCopy) {
  const all = [...(entities ?? []), ...plainLinks(text, entities ?? [])];
  const ordered = all.sort((a, b) => a.offset - b.offset || b.length - a.length);
  const [nodes] = renderRange(text, 0, text.length, ordered, onCopy);
  return nodes;
}

function renderRange(text, start, end, entities, onCopy) {
  const nodes = [];
  let at = start;
  let rest = entities;
  while (rest.length > 0 && rest[0].offset < end) {
    const [entity, ...others] = rest;
    if (entity.offset > at) nodes.push(text.slice(at, entity.offset));
    const entityEnd = Math.min(end, entity.offset + entity.length);
    const [inner, left] = renderRange(text, entity.offset, entityEnd, others, onCopy);
    nodes.push(wrap(entity, text.slice(entity.offset, entityEnd), inner, onCopy));
    at = entityEnd;
    rest = left.filter((one) => one.offset >= at);
  }
  if (at < end) nodes.push(text.slice(at, end));
  return [nodes, rest];
}

function wrap(entity, covered, inner, onCopy) {
  const { type } = entity;
  if (type === 'code' || type === 'pre') {
    const copy = { title: 'Toque para copiar', class: 'copyable', onclick: () => onCopy(covered) };
    return h(tags[type], copy, inner);
  }
  if (type === 'text_link' || type === 'url') {
    const href = type === 'url' ? covered : entity.url;
    if (!/^https?:/i.test(href)) return h('span', {}, inner);
    return h('a', { href, target: '_blank', rel: 'noopener noreferrer' }, inner);
  }
  if (type === 'spoiler') {
    const reveal = (event) => event.currentTarget.classList.add('seen');
    return h('span', { class: 'spoiler', onclick: reveal }, inner);
  }
  if (type === 'bot_command') return h('span', { class: 'command' }, inner);
  return h(tags[type] ?? 'span', {}, inner);
}

/** Telegram makes links of plain addresses, outside of code. */
function plainLinks(text, entities) {
  return [...text.matchAll(/https?:\/\/[^\s<>"]+[^\s<>".,;:!?)]/g)]
    .map((found) => ({ type: 'url', offset: found.index, length: found[0].length }))
    .filter((link) => !entities.some((one) => overlaps(one, link)));
}

function overlaps(a, b) {
  return a.offset < b.offset + b.length && b.offset < a.offset + a.length;
}

/** The PIX codes that a message shows or lets copy. */
export function pixCodesOf(message) {
  const buttons = (message.reply_markup?.inline_keyboard ?? []).flat();
  const texts = [message.text, message.caption, ...buttons.map((one) => one.copy_text?.text)];
  return texts.flatMap((text) => text?.match(/000201.*br\.gov\.bcb\.pix.*6304[0-9A-F]{4}/i) ?? []);
}
