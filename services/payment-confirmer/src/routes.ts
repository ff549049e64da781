import { type HttpServer, type Logger, Problem } from '@rastro/runtime';
import Type from 'typebox';
import { GatewayError } from './adapters/gateway-http.ts';
import type { ChooseGateway } from './adapters/gateways.ts';
import type { Metrics } from './adapters/metrics.ts';
import type { NewWebhook } from './adapters/webhook-inbox.ts';
import type { Gateway, WebhookDelivery, WebhookVerdict } from './core/gateway.ts';

export interface RouteOptions {
  readonly chooseGateway: ChooseGateway;
  /** Resolves with false for a message that came before. */
  readonly store: (webhook: NewWebhook) => Promise<boolean>;
  /** Has the gateway asked about one of our charges, within the budget; false: it is none. */
  readonly askSoon: (of: { accountId: string; chargeId: string }) => Promise<boolean>;
  /** Something was stored. */
  readonly wake: () => void;
  readonly metrics: Pick<Metrics, 'webhooks'>;
  readonly log: Logger;
}

const maxBodyBytes = 65_536;
const anyBytes = 'application/octet-stream';
// No pattern: whatever is no id is no account either, and gets the same 404.
const Params = Type.Object({ accountId: Type.String() });
const Received = Type.Object({ received: Type.Literal(true) });

/** `POST /webhooks/:accountId`: prove, store, answer; what it means is found out afterwards. */
export async function addRoutes(app: HttpServer, options: RouteOptions): Promise<void> {
  const { store, wake, askSoon, metrics, log } = options;
  const logRefusal = createRefusalLog(log);
  await app.register(async (scope) => {
    // Signatures are over bytes, and gateways are careless with content types: one that is none
    // (`json`) would be refused before any parser is asked.
    scope.addHook('onRequest', async ({ raw }) => {
      if (raw.headers['content-type'] !== undefined) raw.headers['content-type'] = anyBytes;
    });
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(
      '*',
      { parseAs: 'buffer' },
      async (_: unknown, body: Buffer) => body,
    );
    scope.post<{ Params: { accountId: string }; Body: Buffer | undefined }>(
      '/webhooks/:accountId',
      { bodyLimit: maxBodyBytes, schema: { params: Params, response: { 200: Received } } },
      async (request) => {
        const { accountId } = request.params;
        const { gateway, workspaceId } = chooseOrRefuse(accountId, options);
        const { kind } = gateway;
        const delivery = {
          headers: request.headers,
          query: request.query as Record<string, unknown>,
          body: request.body ?? Buffer.alloc(0),
        };
        const verdict = await verifyOrRefuse(gateway, delivery, { accountId, ...options });
        if (verdict.outcome !== 'verified') {
          metrics.webhooks.inc({ kind, outcome: verdict.outcome });
          const isWorthAsking =
            verdict.outcome === 'unproven' &&
            (await askSoon({ accountId, chargeId: verdict.chargeId }));
          if (isWorthAsking) return { received: true } as const;
          logRefusal({ accountId, gateway, verdict });
          throw refusalOf(verdict);
        }
        const { remark } = verdict;
        if (remark !== undefined)
          log.error({ accountId, remark }, 'a proven webhook is odd; heeded');
        const isNew = await store({ accountId, kind, workspaceId, hint: verdict.hint });
        metrics.webhooks.inc({ kind, outcome: isNew ? 'accepted' : 'duplicate' });
        if (isNew) wake();
        return { received: true } as const;
      },
    );
  });
}

interface Refusal {
  readonly accountId: string;
  readonly gateway: Gateway;
  readonly verdict: Exclude<WebhookVerdict, { outcome: 'verified' }>;
}

const errorIntervalMs = 60_000;

/**
 * Where a refusal is final, each is an alarm; a stranger can cause as many as he likes, though, so
 * that an account raises it once a minute. The metric counts all of them.
 */
function createRefusalLog(log: Logger): (refusal: Refusal) => void {
  const erredAtMs = new Map<string, number>();
  return ({ accountId, gateway, verdict }) => {
    const nowMs = Date.now();
    const isFinal = gateway.isRefusalFinal === true;
    const isQuiet = nowMs - (erredAtMs.get(accountId) ?? -Infinity) < errorIntervalMs;
    if (isFinal && !isQuiet) erredAtMs.set(accountId, nowMs);
    const repeated = verdict.outcome === 'forged' ? 'debug' : 'warn';
    const level = isFinal ? (isQuiet ? repeated : 'error') : 'warn';
    log[level]({ accountId, ...verdict }, 'a webhook was refused');
  };
}

function chooseOrRefuse(accountId: string, { chooseGateway, log }: RouteOptions) {
  const choice = chooseGateway(accountId);
  if (choice.ok) return choice;
  if (choice.why === 'unknown') {
    throw new Problem(404, 'Not found', 'There is no such account.');
  }
  log.error({ accountId, problem: choice.message }, 'webhooks of an account cannot be checked');
  throw new Problem(503, 'Not ready', notChecked);
}

const notChecked = 'Webhooks of this account cannot be checked right now.';

/** What nobody can tell right now must come again: to refuse it for good would lose it. */
async function verifyOrRefuse(
  gateway: Gateway,
  delivery: WebhookDelivery,
  { accountId, metrics, log }: Pick<RouteOptions, 'metrics' | 'log'> & { accountId: string },
): Promise<WebhookVerdict> {
  try {
    return await gateway.verifyWebhook(delivery);
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    metrics.webhooks.inc({ kind: gateway.kind, outcome: 'unchecked' });
    log.error({ err: error, accountId }, 'a webhook cannot be checked; it has to come again');
    throw new Problem(503, 'Not ready', notChecked);
  }
}

function refusalOf({
  outcome,
  problem,
}: Exclude<WebhookVerdict, { outcome: 'verified' }>): Problem {
  if (outcome === 'malformed') return new Problem(400, 'Malformed webhook', problem);
  return new Problem(401, 'Not proven', 'The signature or the timestamp of this webhook is wrong.');
}
