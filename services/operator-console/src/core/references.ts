/** Whether everything that an entry names is there: a set-up that cannot work is refused early. */
import type { CatalogKind } from '@rastro/events';
import type { AnyDraft, Draft } from './entry.ts';

export interface ReferenceProblem {
  readonly draft: AnyDraft;
  /** Keys inside the entry. */
  readonly path: readonly (string | number)[];
  readonly message: string;
}

type Report = (path: readonly (string | number)[], message: string) => void;
type Exists = (kind: CatalogKind, id: string) => boolean;

/** All broken references and duplicates among the entries of one workspace. */
export function referenceProblems(drafts: readonly AnyDraft[]): ReferenceProblem[] {
  const problems: ReferenceProblem[] = [];
  const ids = new Set(drafts.map(({ kind, id }) => `${kind}/${id}`));
  const exists: Exists = (kind, id) => ids.has(`${kind}/${id}`);
  const seen = new Set<string>();
  for (const draft of drafts) {
    const report: Report = (path, message) => problems.push({ draft, path, message });
    for (const key of identities(draft)) {
      if (seen.has(key)) report(['id'], `${key} stands there twice`);
      seen.add(key);
    }
    if (draft.kind === 'bot') checkBot(draft, exists, report);
    if (draft.kind === 'funnel') checkFunnel(draft, exists, report);
    if (draft.kind === 'pool') checkPool(draft, exists, report);
  }
  return problems;
}

function identities(draft: AnyDraft): string[] {
  const own = `${draft.kind} "${draft.id}"`;
  return draft.kind === 'pool' ? [own, `slug "${draft.data.slug}"`] : [own];
}

function checkBot({ data }: Draft<'bot'>, exists: Exists, report: Report): void {
  if (!exists('funnel', data.funnel)) report(['funnel'], missing('funnel', data.funnel));
  if (!exists('account', data.account)) report(['account'], missing('account', data.account));
}

function checkFunnel({ data }: Draft<'funnel'>, exists: Exists, report: Report): void {
  const steps = new Set(data.steps.map(({ id }) => id));
  if (steps.size < data.steps.length) report(['steps'], 'two steps have the same id');
  data.steps.forEach((step, s) =>
    step.buttons.forEach((button, b) => {
      const path = ['steps', s, 'buttons', b];
      const actions = [button.buy, button.goto, button.url].filter(
        (action) => action !== undefined,
      );
      if (actions.length !== 1) report(path, 'needs exactly one of buy, goto and url');
      if (button.buy !== undefined && !exists('product', button.buy)) {
        report([...path, 'buy'], missing('product', button.buy));
      }
      if (button.goto !== undefined && !steps.has(button.goto)) {
        report([...path, 'goto'], `there is no step "${button.goto}" in this funnel`);
      }
    }),
  );
}

function checkPool({ data }: Draft<'pool'>, exists: Exists, report: Report): void {
  data.bots.forEach(({ bot }, index) => {
    if (!exists('bot', bot)) report(['bots', index, 'bot'], missing('bot', bot));
  });
  if (data.meta.enabled && data.meta.pixelId === null) {
    report(['meta', 'pixelId'], 'is needed while meta is enabled; or set meta.enabled to false');
  }
  if (data.gate.enabled && data.gate.value === '') {
    report(['gate', 'value'], 'is needed while the gate is enabled');
  }
}

const missing = (kind: CatalogKind, id: string): string =>
  `there is no ${kind} "${id}" in this workspace`;
