export { complaintsOf, launchChromium, phoneContext, phoneUserAgent } from './browser.ts';
export {
  putCatalog,
  sampleCatalog,
  type SampleEntry,
  sampleSecrets,
  testMasterKey,
} from './catalog.ts';
export { specification } from './decider.ts';
export { eventually } from './eventually.ts';
export { testLog } from './log.ts';
export { sampleEvent } from './samples.ts';
export {
  migratedDatabase,
  startTestServers,
  type TestDatabase,
  type TestServers,
} from './test-servers.ts';
