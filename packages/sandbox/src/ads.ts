/** The links of the demo's ads, as Facebook would write them at a click. */
import { randomBytes, randomInt } from 'node:crypto';

/** Shaped like the click ids of 2026: a long opaque part, `_aem_`, and a short one. */
function createFbclid(): string {
  const opaque = randomBytes(54).toString('base64url');
  return `IwY2xjawM${opaque}_aem_${randomBytes(16).toString('base64url')}`;
}

function nameWithId(name: string): string {
  return `${name}|1203${randomInt(10_000_000_000, 99_999_999_999)}`;
}

export function createAdUrl(publicOrigin: string, slug: string): string {
  const url = new URL(`/go/${encodeURIComponent(slug)}`, publicOrigin);
  const parameters = {
    fbclid: createFbclid(),
    utm_source: 'FB',
    utm_campaign: nameWithId('Campanha'),
    utm_medium: nameWithId('Conjunto'),
    utm_content: nameWithId('Anúncio'),
    utm_term: 'Instagram_Stories',
  };
  for (const [key, value] of Object.entries(parameters)) url.searchParams.set(key, value);
  return url.href;
}
