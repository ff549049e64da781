/** A walk as a person writes it, and the one that is taken where nobody wrote any. */
import { type FunnelSnapshot, stepIndex } from './funnel.ts';
import { type Act, SimulationError } from './simulation.ts';

const units: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/**
 * Acts between semicolons: `start; press Comprar; wait 10m; pay; write oi; refund`. A wait counts in
 * s, m, h or d.
 * @throws {SimulationError}
 */
export function parseWalk(text: string): Act[] {
  const acts = text.split(';').map((act) => act.trim());
  return acts.filter((act) => act !== '').map(parseAct);
}

function parseAct(act: string): Act {
  if (act === 'start' || act === 'pay' || act === 'refund') return { type: act };
  const press = /^press\s+(.+)$/.exec(act)?.[1];
  if (press !== undefined) return { type: 'press', label: press };
  const written = /^write\s+(.+)$/.exec(act)?.[1];
  if (written !== undefined) return { type: 'write', text: written };
  const [, count, unit = ''] = /^wait\s+(\d+(?:\.\d+)?)([smhd])$/.exec(act) ?? [];
  if (count !== undefined) return { type: 'wait', ms: Number(count) * (units[unit] ?? 0) };
  throw new SimulationError(
    `"${act}" is no act. There are: start, press <label>, write <text>, wait <n>s|m|h|d, pay, refund.`,
  );
}

const dayMs = 86_400_000;

/** To the nearest buy button, past a PIX that expires, to one that is paid, and the day after. */
export function defaultWalk(funnel: FunnelSnapshot, pixExpiryMinutes: number): Act[] {
  const way = wayToBuying(funnel);
  const bump = decliningBump(funnel, way);
  const delayMs = delayOf(funnel);
  const untilShown: Act[] = delayMs === 0 ? [] : [{ type: 'wait', ms: delayMs }];
  const untilExpired: Act = { type: 'wait', ms: (pixExpiryMinutes + 1) * 60_000 };
  const buying: Act[] =
    way.length === 0
      ? []
      : [...way, ...bump, untilExpired, ...way.slice(-1), ...bump, { type: 'pay' }];
  return [{ type: 'start' }, ...untilShown, ...buying, { type: 'wait', ms: dayMs }];
}

/** Long enough for every step that waits. */
const delayOf = ({ steps }: FunnelSnapshot): number =>
  steps.reduce((sum, { delaySeconds = 0 }) => sum + delaySeconds * 1_000, 0);

type Press = Act & { type: 'press' };

/** Breadth first over `goto` and `next`, so that the shortest way is found. */
function wayToBuying(funnel: FunnelSnapshot): Press[] {
  const queue: { step: number; way: Press[] }[] = [{ step: 0, way: [] }];
  const seen = new Set<number>();
  for (let here = queue.shift(); here !== undefined; here = queue.shift()) {
    const step = funnel.steps[here.step];
    if (step === undefined || seen.has(here.step)) continue;
    seen.add(here.step);
    for (const { label, buy, goto } of step.buttons) {
      const way: Press[] = [...here.way, { type: 'press', label }];
      if (buy !== undefined) return way;
      if (goto !== undefined) queue.push({ step: stepIndex(funnel, goto), way });
    }
    if (step.next !== undefined) {
      queue.push({ step: stepIndex(funnel, step.next), way: here.way });
    }
  }
  return [];
}

function decliningBump({ steps }: FunnelSnapshot, way: readonly Press[]): Press[] {
  const label = way.at(-1)?.label;
  const buttons = steps.flatMap((step) => step.buttons);
  const bump = buttons.find((button) => button.label === label && button.buy)?.bump;
  return bump === undefined ? [] : [{ type: 'press', label: bump.decline }];
}
