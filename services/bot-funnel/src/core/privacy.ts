/** What a customer may ask about his own data: /privacidade, /meusdados, /apagar. */
import {
  answer,
  type Decision,
  joined,
  notify,
  nothing,
  only,
  say,
  tellOperator,
} from './decision.ts';
import type { FunnelSnapshot } from './funnel.ts';
import type { Lead } from './lead.ts';
import type { Notice } from './message.ts';

export type PrivacyCommand = 'privacy' | 'my_data' | 'erase';

const tell = (notice: Notice): Decision => say({ kind: 'notice', notice });

/** @param funnel the version that the customer is inside of: it names who answers for the data */
export function answerPrivacy(
  lead: Lead,
  command: PrivacyCommand,
  funnel: FunnelSnapshot | null,
): Decision {
  switch (command) {
    case 'privacy':
      return tell({ about: 'privacy', privacy: funnel?.privacy ?? null });
    case 'my_data':
      return tellData(lead);
    case 'erase':
      return tell({ about: 'erase_question' });
  }
}

function tellData({ person, clicks, checkouts }: Lead): Decision {
  if (person === null) return nothing;
  const data = {
    ...person,
    clicks: clicks.map(({ trackingToken, boundAt }) => ({ trackingToken, boundAt })),
    checkouts: checkouts.map(({ productId, startedAt, status }) => ({
      productId,
      startedAt,
      status,
    })),
  };
  return tell({ about: 'my_data', data });
}

/** After the question was answered with yes. */
export function erase(lead: Lead, funnel: FunnelSnapshot | null, at: string): Decision {
  const { leadId, botId, clicks } = lead;
  const trackingTokens = [...new Set(clicks.map(({ trackingToken }) => trackingToken))];
  const asked = {
    type: 'ErasureRequested',
    data: { leadId, botId, trackingTokens: trackingTokens.slice(-1_000), requestedAt: at },
  } as const;
  const contact = funnel?.privacy?.contact ?? null;
  return joined(
    { events: [asked], effects: [] },
    notify({ about: 'erased', contact }, `erased:${leadId}`),
    tellOperator({ about: 'erasure_note', leadId }, `operator:erased:${leadId}`),
    answer(null),
    only({ type: 'eraseLead' }),
  );
}
