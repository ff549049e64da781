import { testLog, type TestServers } from '@rastro/testing';
import type { Test } from 'tap';
import { connectNats, ensureStreams, type Nats } from '../src/index.ts';

/** Makes connections to a server that has its streams; each ends with the test that asked for it. */
export function connectedTo({ nats: { url } }: TestServers): (t: Test) => Promise<Nats> {
  return async (t) => {
    const nats = await connectNats({ url, name: 'test', log: testLog() });
    t.teardown(() => nats[Symbol.asyncDispose]());
    await ensureStreams(nats);
    return nats;
  };
}
