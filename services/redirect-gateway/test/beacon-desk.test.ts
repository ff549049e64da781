/**
 * Goal: a beacon is recorded once for whoever its visitor belongs to, however late that is known,
 * and its page is never made to wait, nor anything thrown, whatever is away.
 * Method: the desk with plain functions around it and times of milliseconds; two workspaces, so
 * that nobody can be right by chance.
 */
import assert from 'node:assert/strict';
import { decodeEvent, type RastroEvent } from '@rastro/events';
import { eventually } from '@rastro/testing';
import t from 'tap';
import { RecentClicks } from '../src/adapters/recent-clicks.ts';
import { BeaconDesk, type BeaconDeskParts } from '../src/beacon-desk.ts';
import type { Captured } from '../src/core/beacon.ts';

const slugs: Readonly<Record<string, string>> = { promo: 'demo', other: 'second' };

function deskWith(parts: Partial<BeaconDeskParts> = {}) {
  const events: RastroEvent[] = [];
  const asked: string[][] = [];
  let unknown = 0;
  const recentClicks = new RecentClicks();
  const { lookUp = async () => new Map(), limits, ...rest } = parts;
  const desk = new BeaconDesk({
    recentClicks,
    pools: { workspaceOf: (slug) => (slug === null ? null : (slugs[slug] ?? null)) },
    record: async (event) => void events.push(event),
    onUnknown: () => (unknown += 1),
    lookUp: (tokens) => {
      asked.push([...tokens]);
      return lookUp(tokens);
    },
    limits: { lookUpEveryMs: 10, ...limits },
    ...rest,
  });
  return { desk, events, asked, recentClicks, unknown: () => unknown };
}

const tokenOf = (letter: string): string => letter.repeat(32);
const captured = (letter: string, slug: string | null = null): Captured => ({
  beacon: {
    trackingToken: tokenOf(letter),
    pageType: 'bridge',
    fbp: 'fb.1.1762902353123.1',
    fbc: null,
    fbi: '2804:14c::1',
    slug,
  },
  capturedAt: '2026-01-02T03:04:05.678Z',
  clientIp: '177.10.20.30',
  userAgent: 'a phone',
});
const workspaces = (events: readonly RastroEvent[]) => events.map((event) => event.workspaceid);

await t.test('of a click of late: recorded before it is answered, nobody is asked', async (t) => {
  const { desk, events, asked, recentClicks } = deskWith();
  recentClicks.remember(tokenOf('a'), 'second');
  await desk.receive(captured('a', 'promo'));
  t.same(workspaces(events), ['second'], 'the click knows better than the page');
  t.ok(events.every((event) => decodeEvent(event).ok));
  t.match(events[0], {
    type: 'BrowserSignalsCaptured',
    correlationid: tokenOf('a'),
    time: '2026-01-02T03:04:05.678Z',
    data: { fbi: '2804:14c::1', clientIp: '177.10.20.30', userAgent: 'a phone' },
  });
  await desk[Symbol.asyncDispose]();
  t.same(asked, []);
});

await t.test('not known yet: waits, and is recorded once a click or Redis knows it', async (t) => {
  const known = new Map<string, string>();
  const { desk, events, asked, recentClicks } = deskWith({ lookUp: async () => known });
  for (const letter of ['a', 'b', 'b', 'c']) await desk.receive(captured(letter, 'promo'));
  await eventually(() => assert.ok(asked.length > 1));
  t.same(events, [], 'the page’s word is not taken while there is a better one to come');
  t.equal(desk.count, 4);
  recentClicks.remember(tokenOf('a'), 'second');
  known.set(tokenOf('b'), 'second');
  await eventually(() => assert.equal(events.length, 3));
  t.same(workspaces(events), ['second', 'second', 'second'], 'both of one token');
  t.equal(desk.count, 1);
  await desk[Symbol.asyncDispose]();
  t.same(workspaces(events).slice(3), ['demo'], 'what is left at the end goes by its slug');
  const rounds = asked.length;
  await new Promise((resolve) => setTimeout(resolve, 40));
  t.equal(asked.length, rounds, 'nobody is asked any more');
});

await t.test('patience over: by the slug, else dropped and counted', async (t) => {
  const { desk, events, asked, unknown } = deskWith({ limits: { patienceMs: 50 } });
  await desk.receive(captured('a', 'other'));
  await desk.receive(captured('b', 'gone'));
  await desk.receive(captured('c'));
  t.same(events, []);
  await eventually(() => assert.equal(desk.count, 0));
  t.same(workspaces(events), ['second']);
  t.equal(unknown(), 2);
  const rounds = asked.length;
  await new Promise((resolve) => setTimeout(resolve, 40));
  t.equal(asked.length, rounds, 'with nothing waiting nobody is asked');
  await desk[Symbol.asyncDispose]();
});

await t.test('Redis away: as if it knew nothing', async (t) => {
  const lookUp = async () => {
    throw new Error('away');
  };
  const patient = deskWith({ lookUp });
  await patient.desk.receive(captured('a'));
  await eventually(() => assert.ok(patient.asked.length > 1, 'asked again all the same'));
  await patient.desk[Symbol.asyncDispose]();
  t.equal(patient.unknown(), 1);

  const { desk, events, unknown } = deskWith({ lookUp, limits: { patienceMs: 60 } });
  await desk.receive(captured('a', 'promo'));
  await desk.receive(captured('b'));
  await eventually(() => assert.equal(desk.count, 0));
  t.same(workspaces(events), ['demo']);
  t.equal(unknown(), 1);
  await desk[Symbol.asyncDispose]();
});

await t.test('full: no more wait, and nothing grows', async (t) => {
  const { desk, events, unknown } = deskWith({ limits: { capacity: 2 } });
  await desk.receive(captured('a', 'promo'));
  await desk.receive(captured('a', 'promo'));
  await desk.receive(captured('b', 'other'));
  await desk.receive(captured('c'));
  t.same(workspaces(events), ['second'], 'by its slug at once');
  t.equal(unknown(), 1);
  t.equal(desk.count, 2);
  await desk[Symbol.asyncDispose]();
  t.same(workspaces(events), ['second', 'demo', 'demo']);
});

await t.test('many wait: asked about in turns', async (t) => {
  const { desk, asked } = deskWith({ limits: { batch: 2 } });
  for (const letter of ['a', 'b', 'c']) await desk.receive(captured(letter));
  await eventually(() => assert.ok(asked.length >= 2));
  t.same(asked[0], [tokenOf('a'), tokenOf('b')]);
  t.same(asked[1], [tokenOf('c'), tokenOf('a')]);
  await desk[Symbol.asyncDispose]();
});
