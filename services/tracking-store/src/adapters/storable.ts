/**
 * What Postgres' text can hold: neither NUL nor half a surrogate pair, which strings from outside
 * may have. `event_log` keeps them as they were said.
 */

const unstorable = /\\\\|\\u0000|\\ud[89a-f][0-9a-f]{2}/g;

export function storableJson(value: unknown): string {
  const text = JSON.stringify(value);
  const storable = text.replaceAll(unstorable, (escape) =>
    escape === '\\\\' ? escape : '\\ufffd',
  );
  // Two names may have become one. Read and written once, the same one is left as ever after.
  return storable === text ? text : JSON.stringify(JSON.parse(storable));
}

export const storableText = (text: string): string =>
  text.replaceAll('\0', '\ufffd').toWellFormed();
