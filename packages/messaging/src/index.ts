export { Catalog, followCatalog, type Owned, parseCatalogEntry } from './catalog.ts';
export { checkNats, connectNats, type Nats } from './connection.ts';
export { type Subscription } from './consume.ts';
export { type DeadLetter, listDeadLetters, replayDeadLetter } from './dead-letters.ts';
export { followEvents } from './follow.ts';
export {
  type ConsumerReport,
  inspectConsumer,
  inspectStreams,
  readCatalog,
  type StreamReport,
} from './inspection.ts';
export { type Log } from './log.ts';
export { ensureStreams, TopologyError } from './provision.ts';
export { publishAll, publishEvents } from './publish-all.ts';
export { publishEvent, publishJson, type RawPublication } from './publish.ts';
export { ask, type RequestResult, serveRequests } from './requests.ts';
export { isOutage, type Settlement } from './settlement.ts';
export {
  type BatchExceptions,
  subscribe,
  subscribeBatch,
  subscribeRaw,
  subscribeRawBatch,
} from './subscribe.ts';
export { defaultTopology, type StreamName, type TopologyOptions } from './topology.ts';
export { ensureWorkspaceConsumer, workspaceAccount, workspaceDurable } from './workspace-access.ts';
