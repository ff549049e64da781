/** A pool's way to Meta: what the catalog says, and what Meta said to it. */
import type { CatalogItem } from '@rastro/events';
import type { Catalog, Owned } from '@rastro/messaging';
import { failed, type Finding, inCatalog, ok, warning } from './finding.ts';
import type { PixelFacts } from './ledger.ts';
import type { OpenSecret } from './secrets.ts';

export interface MetaFacts {
  readonly catalog: Catalog;
  /** Null where Postgres did not tell. */
  readonly pixels: readonly PixelFacts[] | null;
  readonly open: OpenSecret;
}

type Pool = Owned<'pool'>;
type Meta = CatalogItem<'pool'>['meta'];

const line = (poolId: string, setting: string): string =>
  inCatalog(`pools → ${poolId} → ${setting}`);

export function judgeMeta(pool: Pool, facts: MetaFacts): Finding[] {
  const { id, meta } = pool.item;
  const about = { check: 'Meta', subject: `pool ${id}` };
  if (!meta.enabled) {
    const mend = line(id, 'meta: { enabled: true, pixelId: "…", accessToken: "…" }');
    const detail = 'is off: nothing of this pool is told to Meta';
    // A pool that names a pixel was meant to tell Meta.
    const judge = meta.pixelId === null ? warning : failed;
    return [judge(about, detail, mend), ...judgeVisitors(pool)];
  }
  return [
    ok(about, 'is on'),
    ...judgePixel(pool),
    judgeToken(pool, facts),
    ...judgeEvents(id, meta),
    ...judgeState(pool, facts),
    ...judgeVisitors(pool),
  ];
}

function judgePixel({ item: { id, meta } }: Pool): Finding[] {
  const about = { check: 'pixel id', subject: `pool ${id}` };
  const mend = line(id, 'meta.pixelId: "1234567890" (Events Manager → Settings → Dataset ID)');
  if (meta.pixelId === null) return [failed(about, 'is missing', mend)];
  if (!/^\d{1,32}$/.test(meta.pixelId)) return [failed(about, 'has more than digits', mend)];
  // Meta's ids have 15 or 16 digits; the sandbox's has fewer.
  return [ok(about, meta.pixelId)];
}

/** The pool's own token, else that of another pool with the same pixel: the dispatcher takes both. */
export function tokenOf(
  { workspaceId, item }: Pool,
  { catalog, open }: Pick<MetaFacts, 'catalog' | 'open'>,
): { readonly sealed: boolean; readonly token: string | null } {
  const pools = catalog
    .list('pool')
    .filter(
      (pool) =>
        pool.workspaceId === workspaceId &&
        (pool.item.id === item.id ||
          (item.meta.pixelId !== null && pool.item.meta.pixelId === item.meta.pixelId)),
    )
    .toSorted((a, b) => Number(b.item.id === item.id) - Number(a.item.id === item.id));
  const tokens = pools.flatMap(({ item: { id, meta } }) =>
    meta.accessToken === null ? [] : [open(`pool/${id}/meta/accessToken`, meta.accessToken)],
  );
  return { sealed: tokens.length > 0, token: tokens.find((token) => token !== null) ?? null };
}

function judgeToken(pool: Pool, facts: MetaFacts): Finding {
  const { id } = pool.item;
  const about = { check: 'access token', subject: `pool ${id}` };
  const { sealed, token } = tokenOf(pool, facts);
  if (!sealed) {
    const detail = 'is missing: only the browser’s Pixel reports, the server tells Meta nothing';
    return failed(about, detail, tokenLine(id));
  }
  if (token === null) return failed(about, 'the master key does not open it', tokenLine(id));
  return ok(about, 'opens; --test-call asks Meta about it');
}

export const tokenLine = (poolId: string): string =>
  line(
    poolId,
    'meta.accessToken: "EAA…" (Events Manager → Settings → Conversions API → Generate access token)',
  );

function judgeEvents(id: string, meta: Meta): Finding[] {
  const { events, purchaseTrigger, testEventCode } = meta;
  const subject = `pool ${id}`;
  const found: Finding[] = [];
  const purchase = { check: 'Purchase', subject };
  if (!events.purchase) {
    found.push(failed(purchase, 'is switched off', line(id, 'meta.events.purchase: true')));
  } else if (purchaseTrigger === 'off') {
    const mend = line(id, 'meta.purchaseTrigger: delivery (or paid)');
    found.push(failed(purchase, 'purchaseTrigger is off: no Purchase is sent', mend));
  } else found.push(ok(purchase, `is sent; trigger ${purchaseTrigger}`));
  const pageView = { check: 'PageView', subject };
  found.push(
    events.pageView
      ? ok(pageView, 'is sent')
      : failed(pageView, 'is switched off', line(id, 'meta.events.pageView: true')),
  );
  if (testEventCode) {
    const detail = 'is set: real events go with it, and Meta counts them all the same';
    const about = { check: 'testEventCode', subject };
    found.push(warning(about, detail, line(id, 'meta.testEventCode: null')));
  }
  return found;
}

/** What Meta said of the pixel, as the dispatchers remember it. */
function judgeState({ workspaceId, item }: Pool, { pixels }: MetaFacts): Finding[] {
  const { pixelId } = item.meta;
  if (pixelId === null) return [];
  const about = { check: 'pixel', subject: `pool ${item.id}` };
  if (pixels === null) return [warning(about, 'whether it is parked is not known', null)];
  const pixel = pixels.find((one) => one.workspaceId === workspaceId && one.pixelId === pixelId);
  if (!pixel) return [ok(about, 'has had nothing to send yet')];
  if (pixel.isParked) {
    const { complaint } = pixel;
    // The reason begins with code and subcode, where Meta gave any.
    const since = complaint ? ` since ${complaint.parkedAt} (${complaint.reason})` : '';
    const detail = `is parked${since}; its events wait`;
    return [failed(about, detail, `${tokenLine(item.id)}; it resumes by itself`)];
  }
  if (pixel.pausedUntil) {
    const detail = `Meta wants no calls until ${pixel.pausedUntil.toISOString()}; its events wait`;
    return [warning(about, detail, null)];
  }
  return [ok(about, 'is open')];
}

/** Settings that are right for some and surprise others. */
function judgeVisitors({ item: { id, consent, gate } }: Pool): Finding[] {
  const subject = `pool ${id}`;
  const found: Finding[] = [];
  if (consent === 'required') {
    const detail = 'is required: events of visitors who have not granted it are never sent';
    const mend = line(id, 'consent: not_required, where the law lets you');
    found.push(warning({ check: 'consent', subject }, detail, mend));
  }
  if (gate.enabled) {
    const detail = `is on: a link without ?${gate.param}=… and the pool's value is refused`;
    const mend = `put it into the ad's link, or ${line(id, 'gate: { enabled: false }')}`;
    found.push(warning({ check: 'gate', subject }, detail, mend));
  }
  return found;
}
