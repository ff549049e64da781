/** COPY's text format: https://www.postgresql.org/docs/15/sql-copy.html (File Formats). */
import { storableJson, storableText } from '../adapters/storable.ts';

/** One row. Objects are JSON, lists of texts are arrays of Postgres. */
export function copyLine(values: readonly unknown[]): string {
  return `${values.map(copyValue).join('\t')}\n`;
}

function copyValue(value: unknown): string {
  if (value === null || value === undefined) return '\\N';
  if (typeof value === 'string') return escaped(storableText(value));
  if (Array.isArray(value)) return escaped(storableText(arrayLiteral(value as string[])));
  if (typeof value === 'object') return escaped(storableJson(value));
  return String(value as number | boolean);
}

const arrayLiteral = (texts: readonly string[]): string =>
  `{${texts.map((text) => `"${text.replaceAll(/["\\]/g, '\\$&')}"`).join(',')}}`;

const escapes: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};

const escaped = (text: string): string =>
  /[\\\n\r\t]/.test(text) ? text.replaceAll(/[\\\n\r\t]/g, (c) => escapes[c] ?? c) : text;
