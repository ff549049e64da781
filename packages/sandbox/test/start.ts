import { startSandbox, type SandboxOptions, type SandboxWorld } from '../src/index.ts';

export const world: SandboxWorld = {
  bots: [
    { token: '111:alpha', username: 'demo_a_bot', name: 'Loja A' },
    { token: '222:beta', username: 'demo_b_bot' },
  ],
  pixels: [
    { id: '1234567890', accessToken: 'EAA-one', name: 'Pixel um' },
    { id: '9876543210', accessToken: 'EAA-two' },
  ],
  pixAccounts: [
    {
      apiKey: 'key-one',
      webhookSecret: 'whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=',
      name: 'Loja São João',
    },
    { apiKey: 'key-two', webhookSecret: 'whsec_ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=' },
  ],
  pools: [{ slug: 'promo', name: 'Promoção' }],
};

export function start(options: Partial<SandboxOptions> = {}) {
  return startSandbox({ port: 0, publicOrigin: 'http://localhost:8080', world, ...options });
}

export interface JsonAnswer<T> {
  status: number;
  headers: Headers;
  body: T;
}

/** One call that speaks JSON; `body` decides between GET and POST unless `init` says more. */
export async function call<T = Record<string, unknown>>(
  url: string,
  body?: unknown,
  init: RequestInit = {},
): Promise<JsonAnswer<T>> {
  const headers = new Headers(init.headers);
  if (body !== undefined) headers.set('content-type', 'application/json');
  const response = await fetch(url, {
    method: body === undefined ? 'GET' : 'POST',
    signal: AbortSignal.timeout(10_000),
    ...init,
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: parse(text) as T };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

/** Asks again until the answer pleases; the last answer if it never does. */
export async function eventually<T>(
  ask: () => T | Promise<T>,
  pleases: (answer: T) => boolean,
  withinMs = 20_000,
): Promise<T> {
  const endMs = Date.now() + withinMs;
  for (;;) {
    const answer = await ask();
    if (pleases(answer) || Date.now() > endMs) return answer;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
