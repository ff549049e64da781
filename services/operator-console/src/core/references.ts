/** Whether everything that an entry names is there: a set-up that cannot work is refused early. */
import type { AnyDraft, Draft } from './entry.ts';
import { checkFunnel } from './funnel-references.ts';
import { type Exists, missing, type Path, type Report } from './report.ts';

export interface ReferenceProblem {
  readonly draft: AnyDraft;
  /** Keys inside the entry. */
  readonly path: Path;
  readonly message: string;
}

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
  if (data.token === undefined && data.runtime === 'managed') {
    report(['token'], 'is needed: only a bot with `runtime: external` may keep its own');
  }
  if (!exists('funnel', data.funnel)) report(['funnel'], missing('funnel', data.funnel));
  if (!exists('account', data.account)) report(['account'], missing('account', data.account));
  data.fallbackAccounts?.forEach((account, index) => {
    const path = ['fallbackAccounts', index];
    if (!exists('account', account)) report(path, missing('account', account));
  });
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
