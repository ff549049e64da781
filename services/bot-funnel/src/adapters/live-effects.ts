/** What has to happen within seconds or not at all: answers to a press, questions to a gateway. */
import type { ReplyOf, paymentsRevalidate } from '@rastro/events';
import type { RequestResult } from '@rastro/messaging';
import type { Logger } from '@rastro/runtime';
import type { Api } from 'grammy';
import type { Incoming } from '../core/incoming.ts';
import type { LiveEffect } from './decision-store.ts';
import { attempt } from './telegram.ts';

export interface LiveEffectsOptions {
  readonly log: Logger;
  readonly apiOf: (botId: string) => Api | undefined;
  readonly revalidate: (
    workspaceId: string,
    paymentId: string,
  ) => Promise<RequestResult<ReplyOf<typeof paymentsRevalidate>>>;
}

export interface LiveEffects extends AsyncDisposable {
  carryOut(effects: readonly LiveEffect[], incoming: Incoming): void;
}

/** More than this at once means that Telegram or the gateway hangs; the rest is left out. */
const maxUnderWay = 256;

export function createLiveEffects(options: LiveEffectsOptions): LiveEffects {
  const { log } = options;
  const underWay = new Set<Promise<void>>();
  return {
    carryOut(effects, incoming) {
      for (const effect of effects) {
        if (underWay.size >= maxUnderWay) return;
        const task: Promise<void> = carryOutOne(options, effect, incoming)
          .catch((error: unknown) => log.warn({ err: error }, 'a press was not answered'))
          .finally(() => underWay.delete(task));
        underWay.add(task);
      }
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.allSettled(underWay);
    },
  };
}

async function carryOutOne(
  options: LiveEffectsOptions,
  effect: LiveEffect,
  incoming: Incoming,
): Promise<void> {
  const { apiOf, revalidate, log } = options;
  const { botId, workspaceId, content } = incoming;
  const api = apiOf(botId);
  if (content.type !== 'press' || api === undefined) return;
  const hint =
    effect.type === 'answerPress'
      ? effect.hint
      : hintOf(await revalidate(workspaceId, effect.paymentId));
  const text = hint === null ? {} : { text: hint };
  const result = await attempt(() => api.answerCallbackQuery(content.queryId, text));
  if (!result.ok) log.debug({ botId, failure: result.failure }, 'a press was not answered');
}

function hintOf(result: RequestResult<ReplyOf<typeof paymentsRevalidate>>): string {
  if (!result.ok) return 'Não conseguimos consultar agora. Tente de novo em um minuto.';
  const { status } = result.value;
  if (status === 'paid') return 'Pagamento confirmado! O seu acesso chega em instantes.';
  if (status === 'pending') {
    return 'O pagamento ainda não apareceu. Assim que o banco confirmar, avisamos aqui.';
  }
  return 'Este PIX já foi encerrado. Veja as mensagens abaixo.';
}
