/** A simulated walk as lines of text. */
import type { MessagePart } from './message-part.ts';
import type { Act, Line } from './simulation.ts';
import { brazilTime } from './time.ts';

const names = {
  customer: 'cliente',
  bot: 'bot',
  operator_note: 'operador',
  hint: 'aviso',
} as const;
const indent = ' '.repeat(27);

/** Each thing that was said with its time in Brazil, and what hangs on it indented below. */
export function simulationText(lines: readonly Line[]): string {
  return lines.map(textOfLine).join('\n');
}

function textOfLine(line: Line): string {
  const head = `${brazilTime(line.at)}  ${names[line.from].padEnd(9)} `;
  const [first = '', ...rest] = bodyOf(line);
  return [`${head.padEnd(indent.length)}${first}`, ...rest.map((text) => indent + text)].join('\n');
}

function bodyOf(line: Line): string[] {
  switch (line.from) {
    case 'customer':
      return [actText(line.act)];
    case 'hint':
      return [`(${line.text})`];
    case 'bot':
    case 'operator_note':
      return partText(line.part);
  }
}

function actText(act: Act): string {
  switch (act.type) {
    case 'start':
      return '/start';
    case 'press':
      return `▸ ${act.label}`;
    case 'write':
      return act.text;
    case 'wait':
      return `… espera ${durationText(act.ms)}`;
    case 'pay':
      return '… paga o PIX';
    case 'refund':
      return '… recebe o dinheiro de volta';
  }
}

function durationText(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 1) return `${ms / 1_000} s`;
  if (minutes < 120) return `${minutes} min`;
  return minutes < 2_880 ? `${Math.round(minutes / 60)} h` : `${Math.round(minutes / 1_440)} dias`;
}

/** What a person reads in a message: the file, the words, the buttons row by row. */
export function partText({ html, media, keyboard }: MessagePart): string[] {
  const file =
    media === null ? [] : [media.type === 'qr' ? '[QR code]' : `[${media.type}: ${media.url}]`];
  const words = html === '' ? [] : plainText(html).split('\n');
  const rows = keyboard.map((row) => row.map(({ text }) => `[ ${text} ]`).join(' '));
  return [...file, ...words, ...rows];
}

/** The words of our own markup, which escapes all else. */
export function plainText(html: string): string {
  return html
    .replaceAll(/<\/?[a-z]+>/g, '')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&amp;', '&');
}
