/** The Graph API's field expansion, `web{event_name,acr{percentage}}`: read, checked, applied. */
import type { GraphError } from './errors.ts';
import { isRecord } from './findings.ts';

/** Null for a field that was asked for as a whole. */
export interface Fields {
  readonly [name: string]: Fields | null;
}

/** What there is to be asked for; null for plain values. */
export interface Shape {
  readonly [name: string]: Shape | null;
}

/** @returns the fields, or the error that Meta would answer. */
export function readFields(
  text: string,
  shape: Shape,
): { readonly fields: Fields } | { readonly error: GraphError } {
  const tokens = text.match(/[a-z_][a-z0-9_]*|\S/gi) ?? [];
  const cursor = { tokens, at: 0 };
  const fields = readList(cursor);
  if (fields === null || cursor.at < tokens.length) {
    const found = tokens[cursor.at] ?? 'end of string';
    return { error: syntaxError(`Expected name or "}" instead of "${found}" in the field list`) };
  }
  const unknown = unknownField(fields, shape);
  if (unknown === null) return { fields };
  const message = `(#100) Tried accessing nonexisting field (${unknown})`;
  return { error: { status: 400, code: 100, message } };
}

function syntaxError(what: string): GraphError {
  return { status: 400, code: 2500, message: `Syntax error "${what}"` };
}

interface Cursor {
  readonly tokens: readonly string[];
  at: number;
}

/** Null where the text is none; the cursor then stands on what was not expected. */
function readList(cursor: Cursor): Fields | null {
  const fields: Record<string, Fields | null> = {};
  for (;;) {
    const name = cursor.tokens[cursor.at] ?? '';
    // A name that comes twice is refused, too.
    if (!/^[a-z_]\w*$/i.test(name) || Object.hasOwn(fields, name)) return null;
    cursor.at += 1;
    fields[name] = null;
    if (cursor.tokens[cursor.at] === '{') {
      cursor.at += 1;
      const inner = readList(cursor);
      if (inner === null || cursor.tokens[cursor.at] !== '}') return null;
      cursor.at += 1;
      fields[name] = inner;
    }
    if (cursor.tokens[cursor.at] !== ',') return fields;
    cursor.at += 1;
  }
}

function unknownField(fields: Fields, shape: Shape | null): string | null {
  for (const [name, inner] of Object.entries(fields)) {
    if (shape === null || !Object.hasOwn(shape, name)) return name;
    const unknown = inner === null ? null : unknownField(inner, shape[name] ?? null);
    if (unknown !== null) return unknown;
  }
  return null;
}

/** Only what was asked for; what has no value is left out. */
export function pickFields(value: unknown, fields: Fields | null): unknown {
  if (Array.isArray(value)) return value.map((item: unknown) => pickFields(item, fields));
  if (fields === null || !isRecord(value)) return value;
  const picked = Object.entries(fields).flatMap(([name, inner]) =>
    value[name] === undefined ? [] : [[name, pickFields(value[name], inner)] as const],
  );
  return Object.fromEntries(picked);
}
