/**
 * Goal: what the simulator prints is what customers get. Method: the same acts drive the simulator
 * and the real service (real NATS and Postgres, the sandbox's Telegram), through a funnel that uses
 * everything; both chats are compared word by word. Time passes in Postgres, act by act.
 */
import assert from 'node:assert/strict';
import { eventually, testLog } from '@rastro/testing';
import t from 'tap';
import { parseWalk } from '../src/core/simulated-walk.ts';
import { plainText } from '../src/core/simulation-text.ts';
import { type Act, Simulation } from '../src/core/simulation.ts';
import { startService } from '../src/service.ts';
import { chargesOf, press, refund, wait } from './customers.ts';
import { funnel, pixExpiryMs, products } from './everything-funnel.ts';
import { delivered, paid } from './payments.ts';
import { type SentMessage, startWorld } from './world.ts';

t.setTimeout(110_000);
const world = await startWorld({ funnel, products, pixExpiryMs });
const service = await startService(world.config(), testLog());
t.teardown(async () => {
  await service[Symbol.asyncDispose]();
  await world[Symbol.asyncDispose]();
});

/** What a message says, without what differs from one run to the next. */
interface Said {
  readonly text: string;
  readonly hasPicture: boolean;
  readonly labels: readonly string[];
}

const withoutChance = (text: string): string =>
  text
    .replaceAll(/00020126\S+/g, 'CODE')
    .replaceAll(/até \d\d\/\d\d às \d\d:\d\d/g, 'até THEN')
    .replaceAll(/delivery\/\S+/g, 'delivery/TOKEN')
    .trim();

function saidOf({ text, caption, photo, reply_markup: markup }: SentMessage): Said {
  const labels = markup?.inline_keyboard.flat().map((button) => button.text) ?? [];
  const words = withoutChance(text ?? caption ?? '');
  return { text: words, hasPicture: photo !== undefined, labels };
}

function simulated(acts: readonly Act[]): Said[] {
  const simulation = new Simulation({
    funnel: { ...funnel, key: '1', funnelId: 'default', version: 1 },
    products,
    startsAt: new Date().toISOString(),
    pixExpiryMinutes: pixExpiryMs / 60_000,
    deliveryUrl: `${world.publicOrigin}/delivery`,
  });
  for (const act of acts) simulation.act(act);
  return simulation.lines.flatMap((line) =>
    line.from === 'bot'
      ? [
          {
            text: withoutChance(plainText(line.part.html)),
            hasPicture: line.part.media !== null,
            labels: line.part.keyboard.flat().map(({ text }) => text),
          },
        ]
      : [],
  );
}

async function actForReal(user: number, act: Act): Promise<unknown> {
  switch (act.type) {
    case 'start':
      return world.start(user);
    case 'press':
      return press(world, user, act.label);
    case 'write':
      return world.write(user, act.text);
    case 'wait':
      return wait(world, user, act.ms);
    case 'pay': {
      const charge = await eventually(async () => {
        const last = (await chargesOf(world, user)).at(-1);
        if (last === undefined) throw new Error('no charge yet');
        return last;
      });
      await world.publish(paid(charge));
      return world.publish(delivered(charge, String(user).padEnd(32, 'T')));
    }
    case 'refund':
      return refund(world, user);
  }
}

await t.test('simulated and real walks say the same', async (t) => {
  const walks = [
    'start; wait 5m; press Mais; press Comprar; press Não; wait 11m; press Ver PIX; pay; wait 30m',
    'start; press Mais; wait 21m; press Voltar; press Comprar; press Sim; pay; press Mais; refund',
    'start; press Mais; press Comprar; press Não; wait 31m; press Aceito; pay; write oi',
  ];
  await Promise.all(
    walks.map(async (walk, index) => {
      const user = 6001 + index;
      const acts = parseWalk(walk);
      for (const act of acts) {
        await actForReal(user, act);
        // The simulated customer reads before he acts again.
        const soFar = simulated(acts.slice(0, acts.indexOf(act) + 1));
        await eventually(
          async () => assert.deepEqual((await world.said(user)).map(saidOf), soFar),
          { timeoutMs: 30_000 },
        );
      }
      t.pass(walk);
    }),
  );
});
