/**
 * Goal: what was appended is on the disk and reaches NATS, in order, across crashes, torn lines,
 * outages and a disk that fails; many clicks share one write.
 * Method: the real spool on real files in a temporary folder, with a plain function for NATS.
 */
import assert from 'node:assert/strict';
import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RastroEvent } from '@rastro/events';
import { eventually, sampleEvent, testLog } from '@rastro/testing';
import t from 'tap';
import { startCarrier } from '../../src/adapters/carrier.ts';
import { EventRecorder } from '../../src/adapters/event-recorder.ts';
import { startDrain } from '../../src/adapters/spool-drain.ts';
import { carryRange, type SpoolRange } from '../../src/adapters/spool-range.ts';
import { Spool } from '../../src/adapters/spool.ts';

const log = testLog();
const event = (): RastroEvent => sampleEvent('ClickTracked');
const lines = (events: RastroEvent[]): string => events.map((e) => JSON.stringify(e)).join('\n');

async function temporaryFolder(test: {
  teardown: (handler: () => Promise<void>) => void;
}): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'rastro-spool-'));
  test.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Where events arrive, unless it is down. */
function destination() {
  const arrived: string[] = [];
  const state = { isUp: true, arrived };
  const publish = async (e: RastroEvent): Promise<void> => {
    if (!state.isUp) throw new Error('down');
    arrived.push(e.id);
  };
  return Object.assign(state, { publish });
}

/** What the carrier's thread does, without the thread. */
function drainTo(spool: Spool, publish: (e: RastroEvent) => Promise<void>) {
  const carry = (range: SpoolRange) =>
    carryRange(range, async (publications) => {
      for (const { payload } of publications)
        await publish(JSON.parse(payload.toString()) as RastroEvent);
    });
  return startDrain({ spool, carry, log, onPublished: () => {} });
}

await t.test('an append resolves once its line is in the file; 500 share few writes', async (t) => {
  const folder = await temporaryFolder(t);
  const spool = await Spool.open(folder);
  let commits = 0;
  spool.onCommit = () => (commits += 1);
  const events = Array.from({ length: 500 }, event);
  await Promise.all(events.map((e) => spool.append(JSON.stringify(e))));
  const [name = ''] = await readdir(folder);
  t.equal(await readFile(join(folder, name), 'utf8'), `${lines(events)}\n`, 'in order, not closed');
  t.ok(commits <= 3, `${commits} commits`);
  await spool[Symbol.asyncDispose]();
});

await t.test(
  'what a crash left is drained first and deleted; a torn line harms nobody',
  async (t) => {
    const folder = await temporaryFolder(t);
    const old = [event(), event()];
    await writeFile(join(folder, '0190-old.ndjson'), `${lines(old)}\n{"id":"torn`);
    const unended = event();
    await writeFile(join(folder, '0191-old.ndjson'), lines([unended]));
    await writeFile(join(folder, '0192-old.ndjson'), '\0\0\0\0');
    await writeFile(join(folder, '0193-old.ndjson'), '');
    const spool = await Spool.open(folder);
    const nats = destination();
    const fresh = event();
    await spool.append(JSON.stringify(fresh));
    const drain = drainTo(spool, nats.publish);
    await eventually(() => assert.equal(nats.arrived.length, 4));
    t.same(
      nats.arrived,
      [...old, unended, fresh].map(({ id }) => id),
    );
    await drain[Symbol.asyncDispose]();
    await spool[Symbol.asyncDispose]();
    t.same(await readdir(folder), [], 'nothing is left');
  },
);

await t.test('an outage is only a longer queue', async (t) => {
  const folder = await temporaryFolder(t);
  const spool = await Spool.open(folder);
  const nats = destination();
  nats.isUp = false;
  const drain = drainTo(spool, nats.publish);
  const events = Array.from({ length: 3_000 }, event);
  for (let at = 0; at < events.length; at += 100)
    await Promise.all(events.slice(at, at + 100).map((e) => spool.append(JSON.stringify(e))));
  t.same(nats.arrived, []);
  nats.isUp = true;
  // The next try is up to five seconds off.
  await eventually(() => assert.equal(new Set(nats.arrived).size, events.length), {
    timeoutMs: 30_000,
  });
  await drain[Symbol.asyncDispose]();
  t.same(
    [...new Set(nats.arrived)],
    events.map(({ id }) => id),
  );
  await spool[Symbol.asyncDispose]();
  t.same(await readdir(folder), []);
});

await t.test('a segment that is taken away, or grows behind our back, stops nothing', async (t) => {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, '0190-old.ndjson'), `${lines([event()])}\n`);
  const spool = await Spool.open(folder);
  await rm(join(folder, '0190-old.ndjson'));
  const nats = destination();
  const fresh = event();
  await spool.append(JSON.stringify(fresh));
  const name = (await readdir(folder))[0] ?? '';
  await appendFile(join(folder, name), 'not committed');
  const drain = drainTo(spool, nats.publish);
  await eventually(() => assert.deepEqual(nats.arrived, [fresh.id]));
  await drain[Symbol.asyncDispose]();
  await spool[Symbol.asyncDispose]();
});

await t.test(
  'a failing disk: published directly, and kept in memory while NATS is away',
  async (t) => {
    const folder = join(await temporaryFolder(t), 'spool');
    const spool = await Spool.open(folder);
    // The folder is replaced by a file: opening a segment in it fails, even for root.
    await rm(folder, { recursive: true });
    await writeFile(folder, '');
    const nats = destination();
    let failures = 0;
    const onDiskFailure = () => (failures += 1);
    const recorder = new EventRecorder({ spool, publish: nats.publish, log, onDiskFailure });
    const first = event();
    await recorder.record(first);
    t.same(nats.arrived, [first.id]);
    t.equal(failures, 1);

    nats.isUp = false;
    const second = event();
    await recorder.record(second);
    t.same(nats.arrived, [first.id], 'answered although nobody took it');
    nats.isUp = true;
    await eventually(() => assert.deepEqual(nats.arrived, [first.id, second.id]));

    await rm(folder);
    await mkdir(folder);
    t.equal(failures, 2);
    // A disk that is merely slow, as on a busy machine, counts as failing too.
    const third = await eventually(async () => {
      const before = failures;
      const tried = event();
      await recorder.record(tried);
      assert.equal(failures, before, 'a mended disk is used again');
      return tried;
    });
    t.match(await readFile(spool.segments.at(-1)?.file ?? '', 'utf8'), third.id);
    await recorder[Symbol.asyncDispose]();
    await spool[Symbol.asyncDispose]();
  },
);

await t.test('a disk that does not answer holds nobody up for long', async (t) => {
  const nats = destination();
  const stuck = { append: () => new Promise<void>(() => {}), isStalled: false };
  const onDiskFailure = () => {};
  const recorder = new EventRecorder({ spool: stuck, publish: nats.publish, log, onDiskFailure });
  const startedMs = performance.now();
  const slow = event();
  await recorder.record(slow);
  t.ok(performance.now() - startedMs < 10_000, 'a second, with slack, and not for ever');
  stuck.isStalled = true;
  const quick = event();
  await recorder.record(quick);
  t.same(nats.arrived, [slow.id, quick.id]);
  await recorder[Symbol.asyncDispose]();
});

await t.test('a carrier whose thread dies says so, and is tried again', async (t) => {
  const carrier = startCarrier({ natsUrl: 'nowhere', name: 'test' });
  const range = { file: 'none', start: 0, end: 1, isToEndOfFile: true };
  await t.rejects(carrier.carry(range), { code: 'ERR_INVALID_URL' });
  await t.rejects(carrier.carry(range), { code: 'ERR_INVALID_URL' });
  await carrier[Symbol.asyncDispose]();
});
