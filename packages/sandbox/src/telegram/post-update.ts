/** One try to push an update to a bot's webhook. */
import type { Update, WebhookSettings } from './types.ts';

export type PostResult =
  | { ok: true; call: Record<string, unknown> | null }
  | { ok: false; problem: string };

const timeoutMs = 60_000;

export async function postUpdate(
  settings: WebhookSettings,
  update: Update,
  closing: AbortSignal,
): Promise<PostResult> {
  try {
    const response = await fetch(settings.url, {
      method: 'POST',
      redirect: 'manual',
      signal: AbortSignal.any([closing, AbortSignal.timeout(timeoutMs)]),
      headers: {
        'content-type': 'application/json',
        ...(settings.secretToken === null
          ? {}
          : { 'x-telegram-bot-api-secret-token': settings.secretToken }),
      },
      body: JSON.stringify(update),
    });
    const text = await response.text();
    if (response.ok) return { ok: true, call: readCall(text) };
    const words = response.statusText === '' ? '' : ` ${response.statusText}`;
    return { ok: false, problem: `Wrong response from the webhook: ${response.status}${words}` };
  } catch (error) {
    return { ok: false, problem: describe(error) };
  }
}

/** A bot may call one method by answering with it. */
function readCall(text: string): Record<string, unknown> | null {
  try {
    const body = JSON.parse(text) as Record<string, unknown> | null;
    return body !== null && typeof body['method'] === 'string' ? body : null;
  } catch {
    return null;
  }
}

function describe(error: unknown): string {
  if (error instanceof Error && error.name === 'TimeoutError') return 'Read timeout expired';
  const cause = error instanceof Error ? (error.cause as { code?: string } | undefined) : undefined;
  if (cause?.code === 'ECONNREFUSED') return 'Connection refused';
  if (cause?.code === 'ENOTFOUND') return 'Failed to resolve host: Name or service not known';
  return cause?.code === undefined ? 'Connection failed' : `Connection failed: ${cause.code}`;
}
