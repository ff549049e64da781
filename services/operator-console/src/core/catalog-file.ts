/** From the parsed text of a catalog file to drafts, or to everything that is wrong with it. */
import {
  type CatalogKind,
  decoder,
  plainCatalogSchemas,
  WorkspaceId,
  type Decoder,
} from '@rastro/events';
import { withDefaults } from './defaults.ts';
import type { AnyDraft, CatalogProblem } from './entry.ts';
import { referenceProblems } from './references.ts';

export interface CatalogFile {
  readonly workspaceId: string;
  readonly drafts: readonly AnyDraft[];
}

export type CatalogFileResult =
  | { readonly ok: true; readonly file: CatalogFile }
  | { readonly ok: false; readonly problems: readonly CatalogProblem[] };

/** The file's lists, in the order in which an operator thinks of them. */
export const sections = {
  accounts: 'account',
  products: 'product',
  funnels: 'funnel',
  bots: 'bot',
  pools: 'pool',
} as const satisfies Record<string, CatalogKind>;

type Section = keyof typeof sections;

const isSection = (name: string): name is Section => Object.hasOwn(sections, name);

const decoders = Object.fromEntries(
  Object.entries(plainCatalogSchemas).map(([kind, schema]) => [kind, decoder(schema)]),
) as Record<CatalogKind, Decoder<AnyDraft['data']>>;

const decodeWorkspaceId = decoder(WorkspaceId);

/** Checks shapes, then references; reports all of one before it starts on the other. */
export function readCatalogFile(content: unknown): CatalogFileResult {
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    return failed([{ path: [], message: 'must be a mapping with the key `workspace`' }]);
  }
  const { workspace, ...rest } = content as Record<string, unknown>;
  const problems: CatalogProblem[] = [];
  if (!decodeWorkspaceId(workspace).ok) {
    problems.push({ path: ['workspace'], message: 'must be a short lower-case name, e.g. demo' });
  }
  const drafts: AnyDraft[] = [];
  const places = new Map<AnyDraft, readonly (string | number)[]>();
  for (const [name, list] of Object.entries(rest)) {
    if (!isSection(name)) {
      const known = Object.keys(sections).join(', ');
      problems.push({ path: [name], message: `is not a section; known are ${known}` });
    } else if (Array.isArray(list)) {
      list.forEach((given: unknown, index) => {
        const read = readItem(sections[name], given, [name, index]);
        if ('problem' in read) return problems.push(read.problem);
        places.set(read.draft, [name, index]);
        return drafts.push(read.draft);
      });
    } else if (list !== null) problems.push({ path: [name], message: 'must be a list' });
  }
  if (problems.length > 0) return failed(problems);
  const broken = referenceProblems(drafts).map(({ draft, path, message }) => ({
    path: [...(places.get(draft) ?? []), ...path],
    message,
  }));
  if (broken.length > 0) return failed(broken);
  return { ok: true, file: { workspaceId: String(workspace), drafts } };
}

const failed = (problems: readonly CatalogProblem[]): CatalogFileResult => ({
  ok: false,
  problems,
});

function readItem(
  kind: CatalogKind,
  given: unknown,
  path: readonly (string | number)[],
): { draft: AnyDraft } | { problem: CatalogProblem } {
  const decoded = decoders[kind](withDefaults(kind, given));
  if (decoded.ok) return { draft: { kind, id: decoded.value.id, data: decoded.value } as AnyDraft };
  const [where = '', ...what] = decoded.problem.split(': ');
  const inner = where === '(root)' ? [] : where.split('/').slice(1).map(toKey);
  return { problem: { path: [...path, ...inner], message: what.join(': ') } };
}

const toKey = (part: string): string | number => (/^\d+$/.test(part) ? Number(part) : part);
