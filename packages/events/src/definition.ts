/** What it takes to publish a new kind of event. */
import type { TObject } from 'typebox';

export type Aggregate =
  | 'click'
  | 'session'
  | 'lead'
  | 'payment'
  | 'delivery'
  | 'conversion'
  | 'bot'
  | 'pixel';

export interface EventDefinition<Type extends string = string, Data extends TObject = TObject> {
  /** Past tense, PascalCase. */
  readonly type: Type;
  /** Rises only with a break, which then needs an upcast; adding optional fields is no break. */
  readonly version: number;
  readonly aggregate: Aggregate;
  /** The one service that may say it, or the several that share it. */
  readonly producers: readonly string[];
  /** What has happened, in one sentence, for the event table and the AsyncAPI document. */
  readonly summary: string;
  readonly data: Data;
}

/** Keeps the literal `type` and the schema, from which the TypeScript type is derived. */
export function defineEvent<const Type extends string, Data extends TObject>(
  definition: EventDefinition<Type, Data>,
): EventDefinition<Type, Data> {
  return definition;
}
