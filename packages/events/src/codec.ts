/** From bytes to a typed event and back; the one gate that every event passes on its way in. */
import Type, { type Static, type TSchema } from 'typebox';
import { Compile, type Validator } from 'typebox/compile';
import { EnvelopeAttributes, type RastroEvent } from './envelope.ts';
import { eventDefinitions, type EventType } from './registry.ts';

export type Decoded<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problem: string };

/** Checks that a value has the shape of a schema; `problem` names the field and what is wrong. */
export type Decoder<T> = (value: unknown) => Decoded<T>;

/** Compiles a schema on first use, since not every process reads every type. */
export function decoder<S extends TSchema>(schema: S): Decoder<Static<S>> {
  let compiled: Validator | undefined;
  return (value) => {
    compiled ??= Compile(schema);
    if (compiled.Check(value)) return { ok: true, value: value as Static<S> };
    const [first] = compiled.Errors(value);
    const where = first?.instancePath || '(root)';
    return { ok: false, problem: `${where}: ${wordsOf(first?.message)}` };
  };
}

/** A field that a strict schema does not know is reported as "schema is false". */
function wordsOf(message = 'does not match its schema'): string {
  return message === 'schema is false' ? 'is not a known field' : message;
}

const decoders = new Map<string, Decoder<unknown>>(
  Object.values(eventDefinitions).map((definition) => [
    definition.type,
    decoder(Type.Intersect([EnvelopeAttributes, Type.Object({ data: definition.data })])),
  ]),
);

/** True for a type that this version of the house knows. */
export function isEventType(type: string): type is EventType {
  return decoders.has(type);
}

/** Checks an event of any known type; fields it does not know are kept, not refused. */
export function decodeEvent(value: unknown): Decoded<RastroEvent> {
  const type = (value as { type?: unknown } | null)?.type;
  const decode = typeof type === 'string' ? decoders.get(type) : undefined;
  if (!decode) return { ok: false, problem: `/type: unknown event type ${JSON.stringify(type)}` };
  return decode(value) as Decoded<RastroEvent>;
}

/** Reads the JSON text of an event. */
export function parseEvent(text: string): Decoded<RastroEvent> {
  const json = parseJson(text);
  return json.ok ? decodeEvent(json.value) : json;
}

/** `JSON.parse` with the failure as a value. */
export function parseJson(text: string): Decoded<unknown> {
  try {
    return { ok: true, value: JSON.parse(text) as unknown };
  } catch (error) {
    return { ok: false, problem: `(root): not JSON: ${(error as Error).message}` };
  }
}
