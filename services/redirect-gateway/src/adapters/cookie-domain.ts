import { getDomain } from 'tldts';

export interface CookieScope {
  /** The registrable domain; undefined makes host-only cookies, where there is none. */
  readonly domain: string | undefined;
  /** Labels of the cookies' domain less one, as Meta counts: example.com 1, exemplo.com.br 2. */
  readonly subdomainIndex: number;
}

/** The widest scope that a browser accepts, by the public suffix list. */
export function cookieScope(publicOrigin: string): CookieScope {
  const { hostname } = new URL(publicOrigin);
  // With the list's private part, e.g. shared hosting: browsers heed it too.
  const domain = getDomain(hostname, { allowPrivateDomains: true });
  if (domain === null) return { domain: undefined, subdomainIndex: 0 };
  return { domain, subdomainIndex: domain.split('.').length - 1 };
}
