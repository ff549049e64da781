/** Sends a catalog file to operator-console; its secrets are sealed before they leave here. */
import { mapSecrets } from '@rastro/operator-console/secrets';
import type { CatalogFile } from '@rastro/operator-console/catalog-file';
import { sealSecret } from '@rastro/runtime';
import { request } from 'undici';

/** What operator-console answered when it did not do as asked. */
export class CatalogApiError extends Error {
  readonly code = 'CATALOG_API_REFUSED';
  /** The catalog is wrong, rather than the console. */
  readonly isCallersFault: boolean;

  constructor(status: number, body: ProblemBody) {
    const errors = (body.errors ?? []).map(({ field, problem }) => `  ${field}: ${problem}`);
    super(
      [
        `${body.title ?? 'Refused'} (${status}): ${body.detail ?? 'no reason given'}`,
        ...errors,
      ].join('\n'),
    );
    this.name = 'CatalogApiError';
    this.isCallersFault = status === 400 || status === 409;
  }
}

interface ProblemBody {
  readonly title?: string;
  readonly detail?: string;
  readonly errors?: readonly { readonly field: string; readonly problem: string }[];
}

export interface CatalogApi {
  /** Base URL of operator-console, or the public origin. */
  readonly url: string;
  readonly apiKey: string;
}

export interface ChangeView {
  readonly kind: string;
  readonly id: string;
  readonly change: 'created' | 'updated' | 'removed';
  readonly version: number;
}

/** @throws {CatalogApiError} */
export async function applyCatalog(
  api: CatalogApi,
  file: CatalogFile,
  options: { masterKey: string; dryRun?: boolean; prune?: boolean },
): Promise<ChangeView[]> {
  const key = Buffer.from(options.masterKey, 'base64');
  const entries = file.drafts.map((draft) =>
    mapSecrets(draft, (place, plain) => sealSecret(key, place, plain)),
  );
  const query = { dryRun: String(options.dryRun ?? false), prune: String(options.prune ?? false) };
  const answer = await call<{ changes: ChangeView[] }>(api, 'PUT', file.workspaceId, {
    query,
    body: { entries },
  });
  return answer.changes;
}

/** All entries of a workspace, without their secrets. */
export async function showCatalog(
  api: CatalogApi,
  workspaceId: string,
): Promise<CatalogEntryView[]> {
  const answer = await call<{ entries: CatalogEntryView[] }>(api, 'GET', workspaceId, {});
  return answer.entries;
}

export interface CatalogEntryView {
  readonly kind: string;
  readonly id: string;
  readonly version: number;
  readonly changedAt: string;
  readonly data: Record<string, unknown> | null;
}

async function call<T>(
  { url, apiKey }: CatalogApi,
  method: 'GET' | 'PUT',
  workspaceId: string,
  { query = {}, body }: { query?: Record<string, string>; body?: unknown },
): Promise<T> {
  const response = await request(`${url}/api/v1/catalog/${encodeURIComponent(workspaceId)}`, {
    method,
    query,
    headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    headersTimeout: 30_000,
  });
  const answer = (await response.body.json().catch(() => ({}))) as T;
  if (response.statusCode !== 200)
    throw new CatalogApiError(response.statusCode, answer as ProblemBody);
  return answer;
}
