/** Reads a method's parameters, which arrive as JSON, as a form, or as multipart with files. */
import { type MessageEntity, parseHtml } from './html.ts';
import { badRequest, type InlineButton, type InlineKeyboard } from './types.ts';

export interface Parameters {
  fields: Record<string, unknown>;
  files: Map<string, Buffer>;
}

export interface FormattedText {
  text: string;
  entities: MessageEntity[];
}

export function textOf({ fields }: Parameters, key: string): string | null {
  const value = fields[key];
  if (typeof value === 'string') return value;
  return typeof value === 'number' ? String(value) : null;
}

export function integerOf(parameters: Parameters, key: string, fallback: number): number {
  const text = textOf(parameters, key);
  return text !== null && /^-?\d+$/.test(text) ? Number(text) : fallback;
}

export function flagOf({ fields }: Parameters, key: string): boolean {
  return [true, 'true', 'True', 1, '1'].includes(fields[key] as string);
}

/** Objects may arrive as JSON text, as every form does it. */
export function objectOf({ fields }: Parameters, key: string): unknown {
  const value = fields[key];
  if (typeof value !== 'string') return value;
  if (value === '') return undefined;
  try {
    return JSON.parse(value) as unknown;
  } catch {
    throw badRequest(`can't parse ${key.replaceAll('_', ' ')} JSON object`);
  }
}

/** @throws BotApiError where the text does not parse */
export function formattedText(
  parameters: Parameters,
  textKey: string,
  entitiesKey: string,
): FormattedText {
  const raw = textOf(parameters, textKey) ?? '';
  const mode = (textOf(parameters, 'parse_mode') ?? '').toLowerCase();
  if (mode === 'html') {
    const parsed = parseHtml(raw);
    if (!parsed.ok) throw badRequest(`can't parse entities: ${parsed.problem}`);
    return trimmed(parsed);
  }
  if (mode !== '') {
    const isReal = mode === 'markdown' || mode === 'markdownv2';
    throw badRequest(isReal ? 'the sandbox parses HTML only' : 'unsupported parse_mode');
  }
  const entities = objectOf(parameters, entitiesKey);
  return trimmed({ text: raw, entities: Array.isArray(entities) ? entities : [] });
}

/** Telegram takes off the blanks at both ends. */
function trimmed({ text, entities }: FormattedText): FormattedText {
  const lead = text.length - text.trimStart().length;
  const kept = text.trim();
  const moved = entities.flatMap((entity) => {
    const start = Math.max(0, entity.offset - lead);
    const end = Math.min(kept.length, entity.offset + entity.length - lead);
    return end > start ? [{ ...entity, offset: start, length: end - start }] : [];
  });
  return { text: kept, entities: moved };
}

/** The inline keyboard; other kinds of keyboard are accepted and not shown. */
export function inlineKeyboardOf(parameters: Parameters): InlineKeyboard | undefined {
  const markup = objectOf(parameters, 'reply_markup');
  if (markup === undefined || markup === null) return undefined;
  if (typeof markup !== 'object') throw badRequest('object expected as reply markup');
  const rows = (markup as { inline_keyboard?: unknown }).inline_keyboard;
  if (rows === undefined) return undefined;
  if (!Array.isArray(rows)) {
    throw badRequest('field "inline_keyboard" of the InlineKeyboardMarkup must be an Array');
  }
  const keyboard = rows.map((row: unknown) => {
    if (!Array.isArray(row)) throw badRequest("can't parse inline keyboard row: not an Array");
    return row.map(buttonOf);
  });
  const filled = keyboard.filter((row) => row.length > 0);
  return filled.length === 0 ? undefined : { inline_keyboard: filled };
}

const actionKeys = [
  'callback_data',
  'url',
  'copy_text',
  'web_app',
  'login_url',
  'switch_inline_query',
  'switch_inline_query_current_chat',
  'switch_inline_query_chosen_chat',
  'callback_game',
  'pay',
];

function buttonOf(value: unknown): InlineButton {
  const button = (value ?? {}) as Record<string, unknown>;
  const { text } = button;
  if (typeof text !== 'string' || text === '') {
    throw badRequest(
      'can\'t parse inline keyboard button: field "text" must be a non-empty String',
    );
  }
  const actions = actionKeys.filter((key) => button[key] !== undefined);
  if (actions.length !== 1) {
    throw badRequest(
      "can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard",
    );
  }
  const { callback_data: data, url, copy_text: copyText } = button;
  if (data !== undefined) {
    const isGood = typeof data === 'string' && data !== '' && Buffer.byteLength(data) <= 64;
    if (!isGood) throw badRequest('BUTTON_DATA_INVALID');
    return { text, callback_data: data };
  }
  if (url !== undefined) {
    if (typeof url !== 'string' || !isLink(url)) {
      const shown = JSON.stringify(url).replaceAll('"', '');
      throw badRequest(`inline keyboard button URL '${shown}' is invalid: Wrong HTTP URL`);
    }
    return { text, url };
  }
  if (copyText !== undefined) {
    const copied = (copyText as { text?: unknown } | null)?.text;
    if (typeof copied !== 'string' || copied.length < 1 || copied.length > 256) {
      throw badRequest('BUTTON_COPY_TEXT_INVALID');
    }
    return { text, copy_text: { text: copied } };
  }
  throw badRequest(`the sandbox does not know buttons with ${actions.join(', ')}`);
}

/** Unlike Telegram, addresses of this machine are let through: the whole demo lives there. */
function isLink(url: string): boolean {
  return URL.canParse(url) && /^(?:https?|tg):/i.test(url);
}
