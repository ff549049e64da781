/**
 * `parse_mode: HTML` as Telegram parses it: only its tags, all closed, in order; any other `<` is
 * an error. Offsets of entities are UTF-16 units, offsets in errors are bytes. Pure.
 */
export interface MessageEntity {
  type: string;
  offset: number;
  length: number;
  url?: string;
  language?: string;
  custom_emoji_id?: string;
}

export type ParsedText =
  | { ok: true; text: string; entities: MessageEntity[] }
  | { ok: false; problem: string };

const typeByTag: Record<string, string> = {
  b: 'bold',
  strong: 'bold',
  i: 'italic',
  em: 'italic',
  u: 'underline',
  ins: 'underline',
  s: 'strikethrough',
  strike: 'strikethrough',
  del: 'strikethrough',
  'tg-spoiler': 'spoiler',
  span: 'spoiler',
  code: 'code',
  pre: 'pre',
  a: 'text_link',
  'tg-emoji': 'custom_emoji',
  blockquote: 'blockquote',
};

const namedCharacters: Record<string, string> = { lt: '<', gt: '>', amp: '&', quot: '"' };

interface OpenTag {
  name: string;
  attributes: Map<string, string>;
  offset: number;
}

class ParseProblem extends Error {}

export function parseHtml(html: string): ParsedText {
  try {
    return parseOrThrow(html);
  } catch (error) {
    if (error instanceof ParseProblem) return { ok: false, problem: error.message };
    throw error;
  }
}

function parseOrThrow(html: string): ParsedText {
  let text = '';
  const open: OpenTag[] = [];
  const entities: MessageEntity[] = [];
  let at = 0;
  while (at < html.length) {
    if (html[at] === '&') {
      const character = readCharacter(html, at);
      text += character.text;
      at = character.end;
    } else if (html.startsWith('</', at)) {
      at = closeTag(html, at, open, entities, text.length);
    } else if (html[at] === '<') {
      const tag = readStartTag(html, at);
      open.push({ name: tag.name, attributes: tag.attributes, offset: text.length });
      at = tag.end;
    } else {
      text += html[at] ?? '';
      at += 1;
    }
  }
  const left = open.at(-1);
  if (left !== undefined) {
    throw new ParseProblem(`Can't find end tag corresponding to start tag "${left.name}"`);
  }
  return { ok: true, text, entities: [...entities].sort(byPosition) };
}

function byPosition(a: MessageEntity, b: MessageEntity): number {
  return a.offset - b.offset || b.length - a.length;
}

function byteOffset(html: string, at: number): number {
  return new TextEncoder().encode(html.slice(0, at)).length;
}

/** Only numeric characters and the four named ones are decoded; any other `&` stays as it is. */
function readCharacter(html: string, at: number): { text: string; end: number } {
  const found = /^&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]+));?/i.exec(html.slice(at, at + 12));
  const [whole = '&', decimal, hex, name] = found ?? [];
  const point = decimal === undefined ? Number.parseInt(hex ?? '', 16) : Number(decimal);
  const named = name === undefined ? undefined : namedCharacters[name];
  if (named !== undefined) return { text: named, end: at + whole.length };
  if (point > 0 && point < 0x110000) {
    return { text: String.fromCodePoint(point), end: at + whole.length };
  }
  return { text: '&', end: at + 1 };
}

function readStartTag(html: string, start: number) {
  const name = (/^[^\s>]*/.exec(html.slice(start + 1))?.[0] ?? '').toLowerCase();
  const offset = byteOffset(html, start);
  let at = start + 1 + name.length;
  if (at >= html.length) throw new ParseProblem(`Unclosed start tag at byte offset ${offset}`);
  if (!Object.hasOwn(typeByTag, name)) {
    throw new ParseProblem(`Unsupported start tag "${name}" at byte offset ${offset}`);
  }
  const attributes = new Map<string, string>();
  while (html[at] !== '>') {
    const part = /^\s*(?:([^\s=>]+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s>"']+))?)?\s*/.exec(
      html.slice(at),
    );
    const [whole = '', key, value = ''] = part ?? [];
    if (whole === '' || at + whole.length >= html.length) {
      throw new ParseProblem(`Unclosed start tag "${name}" at byte offset ${offset}`);
    }
    if (key !== undefined) attributes.set(key.toLowerCase(), decode(unquote(value)));
    at += whole.length;
  }
  const isBareSpan = name === 'span' && attributes.get('class') !== 'tg-spoiler';
  if (isBareSpan) {
    const wanted = 'Tag "span" must have class "tg-spoiler"';
    throw new ParseProblem(`${wanted} at byte offset ${offset}`);
  }
  return { name, attributes, end: at + 1 };
}

function unquote(value: string): string {
  return /^(["']).*\1$/s.test(value) ? value.slice(1, -1) : value;
}

function decode(value: string): string {
  let text = '';
  for (let at = 0; at < value.length;) {
    const character =
      value[at] === '&' ? readCharacter(value, at) : { text: value[at] ?? '', end: at + 1 };
    text += character.text;
    at = character.end;
  }
  return text;
}

function closeTag(
  html: string,
  start: number,
  open: OpenTag[],
  entities: MessageEntity[],
  textLength: number,
): number {
  const offset = byteOffset(html, start);
  const tag = open.pop();
  if (tag === undefined) throw new ParseProblem(`Unexpected end tag at byte offset ${offset}`);
  const found = /^<\/([^\s>]*)\s*>/.exec(html.slice(start));
  if (found === null) throw new ParseProblem(`Unclosed end tag at byte offset ${offset}`);
  const name = (found[1] ?? '').toLowerCase();
  if (name !== '' && name !== tag.name) {
    throw new ParseProblem(
      `Unmatched end tag at byte offset ${offset}, expected "</${tag.name}>", found "</${name}>"`,
    );
  }
  const length = textLength - tag.offset;
  const entity = length > 0 ? entityOf(tag, length) : null;
  if (entity !== null) entities.push(entity);
  return start + found[0].length;
}

function entityOf(tag: OpenTag, length: number): MessageEntity | null {
  const base = { type: typeByTag[tag.name] ?? '', offset: tag.offset, length };
  const isExpandable = tag.name === 'blockquote' && tag.attributes.has('expandable');
  if (isExpandable) return { ...base, type: 'expandable_blockquote' };
  if (tag.name === 'tg-emoji') {
    return { ...base, custom_emoji_id: tag.attributes.get('emoji-id') ?? '' };
  }
  if (tag.name !== 'a') return base;
  const url = tag.attributes.get('href') ?? '';
  // A link that leads nowhere is shown as plain text.
  return /^(?:https?|tg|ton|mailto|tel):/i.test(url) ? { ...base, url } : null;
}
