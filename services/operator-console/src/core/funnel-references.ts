/** Whether a funnel leads somewhere from everywhere: its steps, products and ways between them. */
import type { CatalogItem } from '@rastro/events';
import type { Draft } from './entry.ts';
import { type Exists, missing, type Path, type Report } from './report.ts';

type Step = CatalogItem<'funnel'>['steps'][number];

export function checkFunnel({ data }: Draft<'funnel'>, exists: Exists, report: Report): void {
  const steps = new Set(data.steps.map(({ id }) => id));
  const checkStep = (path: Path, id: string | null | undefined): void => {
    if (typeof id === 'string' && !steps.has(id)) {
      report(path, `there is no step "${id}" in this funnel`);
    }
  };
  const checkProduct = (path: Path, id: string | null | undefined): void => {
    if (typeof id === 'string' && !exists('product', id)) report(path, missing('product', id));
  };
  if (steps.size < data.steps.length) report(['steps'], 'two steps have the same id');
  data.steps.forEach((step, s) => {
    const path = ['steps', s];
    checkButtons(step, path, { checkStep, checkProduct, report });
    checkStep([...path, 'next'], step.next);
    step.branches?.forEach((branch, b) => {
      checkStep([...path, 'branches', b, 'goto'], branch.goto);
      checkProduct([...path, 'branches', b, 'product'], branch.product);
    });
  });
  data.followUps?.forEach((followUp, f) => {
    const path = ['followUps', f];
    checkStep([...path, 'goto'], followUp.goto);
    checkStep([...path, 'step'], followUp.step);
    checkProduct([...path, 'product'], followUp.product);
  });
  const followUps = data.followUps?.map(({ id }) => id) ?? [];
  if (new Set(followUps).size < followUps.length) {
    report(['followUps'], 'two follow-ups have the same id');
  }
  checkChains(data.steps, report);
}

interface Checks {
  readonly checkStep: (path: Path, id: string | null | undefined) => void;
  readonly checkProduct: (path: Path, id: string | null | undefined) => void;
  readonly report: Report;
}

function checkButtons(step: Step, stepPath: Path, checks: Checks): void {
  const { checkStep, checkProduct, report } = checks;
  step.buttons.forEach((button, b) => {
    const path = [...stepPath, 'buttons', b];
    const actions = [button.buy, button.goto, button.url].filter((action) => action !== undefined);
    if (actions.length !== 1) report(path, 'needs exactly one of buy, goto and url');
    if (button.bump !== undefined && button.buy === undefined) {
      report([...path, 'bump'], 'stands beside buy only');
    }
    checkProduct([...path, 'buy'], button.buy);
    checkProduct([...path, 'bump', 'product'], button.bump?.product);
    checkStep([...path, 'goto'], button.goto);
  });
}

/** Steps that follow each other without a wait, in a circle, would never stop talking. */
function checkChains(steps: readonly Step[], report: Report): void {
  const byId = new Map(steps.map((step) => [step.id, step]));
  steps.forEach((start, index) => {
    const seen = new Set<string>();
    let step: Step | undefined = start;
    while (step !== undefined && !seen.has(step.id)) {
      seen.add(step.id);
      step = step.next === undefined ? undefined : byId.get(step.next);
    }
    if (step?.id === start.id) {
      report(['steps', index, 'next'], 'leads back to this step by itself, again and again');
    }
  });
}
