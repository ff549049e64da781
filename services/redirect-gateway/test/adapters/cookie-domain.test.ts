/**
 * Goal: Meta's cookies live on the widest domain that a browser accepts, and their subdomain index
 * counts that domain's labels as Meta does.
 * Method: a table of origins, country-code suffixes, shared hosting and addresses among them.
 */
import t from 'tap';
import { cookieScope } from '../../src/adapters/cookie-domain.ts';

// Origin, domain of the cookies (undefined: host-only), index.
const table = [
  ['https://example.com', 'example.com', 1],
  ['https://go.example.com', 'example.com', 1],
  ['https://a.b.go.example.com:8443', 'example.com', 1],
  ['https://GO.Example.COM', 'example.com', 1],
  ['https://exemplo.com.br', 'exemplo.com.br', 2],
  ['https://go.exemplo.com.br', 'exemplo.com.br', 2],
  ['https://exemplo.app.br', 'exemplo.app.br', 2],
  ['https://go.exemplo.net', 'exemplo.net', 1],
  // The private part of the list: neighbours on shared hosting never see each other's cookies.
  ['https://x.github.io', 'x.github.io', 2],
  ['https://go.x.github.io', 'x.github.io', 2],
  ['https://loja.vercel.app', 'loja.vercel.app', 2],
  ['https://loja.ngrok-free.app', 'loja.ngrok-free.app', 2],
  // Names as they travel, and as people write them.
  ['https://go.xn--promoo-7ta5a.com.br', 'xn--promoo-7ta5a.com.br', 2],
  ['https://go.promoção.com.br', 'xn--promoo-7ta5a.com.br', 2],
  // Nothing to widen: a suffix itself, a bare name, an address.
  ['https://github.io', undefined, 0],
  ['https://com.br', undefined, 0],
  ['http://localhost:8080', undefined, 0],
  ['http://rastro:8101', undefined, 0],
  ['http://127.0.0.1:8080', undefined, 0],
  ['http://177.10.20.30', undefined, 0],
  ['http://[::1]:8080', undefined, 0],
  ['http://[2804:14c::1]', undefined, 0],
] as const;

await t.test('the cookies’ domain by the public suffix list', (t) => {
  for (const [origin, domain, subdomainIndex] of table)
    t.same(cookieScope(origin), { domain, subdomainIndex }, origin);
  t.end();
});
