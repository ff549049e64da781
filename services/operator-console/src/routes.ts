/** REST `/api/v1/catalog`: secrets come in sealed, and go out not at all. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import swagger from '@fastify/swagger';
import {
  type CatalogEntry,
  catalogKinds,
  catalogSchemas,
  decoder,
  WorkspaceId,
} from '@rastro/events';
import { type HttpServer, Problem, requireApiKey } from '@rastro/runtime';
import Type from 'typebox';
import type { CatalogStore } from './adapters/catalog-store.ts';
import { changesOf, conflictsOf, merged } from './core/changes.ts';
import type { AnyDraft } from './core/entry.ts';
import { referenceProblems } from './core/references.ts';
import { mapSecrets } from './core/secrets.ts';

export interface RouteOptions {
  readonly apiKey: string;
  readonly store: Pick<CatalogStore, 'entries' | 'change'>;
  readonly onChange: () => void;
}

const ChangeView = Type.Object({
  kind: Type.Enum(catalogKinds),
  id: Type.String(),
  change: Type.Enum(['created', 'updated', 'removed']),
  version: Type.Integer(),
});

const Flag = Type.Optional(Type.Enum(['true', 'false']));
const ApplyQuery = Type.Object({ dryRun: Flag, prune: Flag });

const ApplyBody = Type.Object({
  entries: Type.Array(
    Type.Object({ kind: Type.Enum(catalogKinds), id: Type.String(), data: Type.Unknown() }),
    { maxItems: 10_000 },
  ),
});

const decoders = Object.fromEntries(
  Object.entries(catalogSchemas).map(([kind, schema]) => [kind, decoder(schema)]),
);

export async function addRoutes(app: HttpServer, options: RouteOptions): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Rastro', version: '1.0.0', description: 'The catalog of an installation.' },
      components: { securitySchemes: { apiKey: { type: 'http', scheme: 'bearer' } } },
      security: [{ apiKey: [] }],
    },
  });
  await app.register(async (scope) => {
    scope.addHook('onRequest', requireApiKey(options.apiKey));
    addCatalogRoutes(scope.withTypeProvider<TypeBoxTypeProvider>(), options);
  });
}

function addCatalogRoutes(api: HttpServer, { store, onChange }: RouteOptions): void {
  const params = Type.Object({ workspaceId: WorkspaceId });

  api.get('/api/v1/openapi.json', { schema: { hide: true } }, async () => api.swagger());

  const readSchema = { summary: 'All entries of a workspace', params };
  api.get('/api/v1/catalog/:workspaceId', { schema: readSchema }, async (request) => {
    const entries = await store.entries(request.params.workspaceId);
    return { entries: entries.map(withoutSecrets) };
  });

  const applySchema = {
    summary: 'Creates and updates entries; with prune, removes those that are not named',
    params,
    querystring: ApplyQuery,
    body: ApplyBody,
    response: { 200: Type.Object({ changes: Type.Array(ChangeView) }) },
  };
  api.put('/api/v1/catalog/:workspaceId', { schema: applySchema }, async (request) => {
    const { workspaceId } = request.params;
    const isDryRun = request.query.dryRun === 'true';
    const isPruning = request.query.prune === 'true';
    const drafts = readDrafts(request.body.entries);
    const { planned } = await store.change(workspaceId, new Date().toISOString(), (current) => {
      refuseConflicts(conflictsOf(workspaceId, drafts, current));
      refuseBrokenReferences(isPruning ? drafts : merged(workspaceId, drafts, current));
      const changes = changesOf({ workspaceId, drafts, current, prune: isPruning });
      return { planned: changes, changes: isDryRun ? [] : changes };
    });
    onChange();
    return {
      changes: planned.map(({ kind, id, change, version }) => ({ kind, id, change, version })),
    };
  });
}

/** @throws {Problem} naming each entry that is not as the schema of its kind asks. */
function readDrafts(entries: readonly unknown[]): AnyDraft[] {
  const errors: { field: string; problem: string }[] = [];
  const drafts = (entries as AnyDraft[]).filter(({ kind, id, data }, index) => {
    const decoded = decoders[kind]?.(data);
    const isOwn = decoded?.ok === true && data.id === id;
    const problem = decoded?.ok === false ? decoded.problem : 'id differs from data.id';
    if (!isOwn) errors.push({ field: `/entries/${index} (${kind} ${id})`, problem });
    return isOwn;
  });
  if (errors.length > 0) {
    throw new Problem(400, 'Invalid catalog', 'Some entries are wrong; nothing was changed.', {
      errors,
    });
  }
  return drafts;
}

function refuseConflicts(conflicts: readonly { kind: string; id: string; reason: string }[]): void {
  if (conflicts.length === 0) return;
  const errors = conflicts.map(({ kind, id, reason }) => ({
    field: `${kind} ${id}`,
    problem: reason,
  }));
  throw new Problem(409, 'Taken', 'Ids and slugs are unique; nothing was changed.', { errors });
}

function refuseBrokenReferences(drafts: readonly AnyDraft[]): void {
  const errors = referenceProblems(drafts).map(({ draft, path, message }) => ({
    field: [`${draft.kind} ${draft.id}`, ...path].join('/'),
    problem: message,
  }));
  if (errors.length === 0) return;
  throw new Problem(
    400,
    'Invalid catalog',
    'Some entries name what is not there; nothing was changed.',
    { errors },
  );
}

function withoutSecrets(entry: CatalogEntry): CatalogEntry {
  if (entry.data === null) return entry;
  const { data } = mapSecrets(entry as AnyDraft, () => '[sealed]');
  return { ...entry, data } as CatalogEntry;
}
