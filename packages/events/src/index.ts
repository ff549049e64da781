export { type AdParameters, type AdReference, adReferenceOf } from './ad-reference.ts';
export { asyncApiDocument } from './asyncapi.ts';
export {
  type CatalogEntry,
  catalogEntrySchema,
  type CatalogItem,
  type CatalogKind,
  catalogKinds,
  catalogSchemas,
  plainCatalogSchemas,
} from './catalog.ts';
export {
  type Decoded,
  type Decoder,
  decodeEvent,
  decoder,
  isEventType,
  parseEvent,
  parseJson,
} from './codec.ts';
export { type Aggregate, type EventDefinition } from './definition.ts';
export {
  type Circumstances,
  envelop,
  type RastroEvent,
  trackingTokenOf,
  WorkspaceId,
} from './envelope.ts';
export { centsToDecimal, decimalToCents, formatMoney } from './money.ts';
export {
  type DataOf,
  type EventBody,
  eventDefinitions,
  type EventType,
  eventTypes,
} from './registry.ts';
export {
  funnelStart,
  funnelStep,
  paymentsCreate,
  paymentsReconcile,
  paymentStatuses,
  paymentsRevalidate,
  type ReplyOf,
  type RequestDefinition,
  type RequestOf,
  type RequestProblem,
  requestDefinitions,
  trackingGet,
} from './requests.ts';
export { CatalogId, TrackingToken, Uuid } from './scalars.ts';
export {
  catalogSubject,
  deadLetterSubject,
  eventFilter,
  eventStream,
  eventSubject,
} from './subjects.ts';
export { wellFormedFbc, wellFormedFbp } from './meta-cookie.ts';
