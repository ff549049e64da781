/** The words of everything that is said besides the funnel's own steps, PIX and delivery. */
import { formatMoney } from '@rastro/events';
import { encodePress } from './funnel.ts';
import type { Notice, PersonalData, Reversal } from './message.ts';
import { escapeHtml, type InlineButton, type MessagePart, plain } from './message-part.ts';
import { brazilTime } from './time.ts';

export function renderNotice(notice: Notice): MessagePart {
  switch (notice.about) {
    case 'expired': {
      const html = `⌛ O PIX de ${bold(notice.productName)} expirou. Quer gerar um novo?`;
      return { ...plain(html), keyboard: again('Gerar novo PIX', notice.checkoutId) };
    }
    case 'refused': {
      const html = `O PIX de ${bold(notice.productName)} foi cancelado pelo banco. Quer gerar um novo?`;
      return { ...plain(html), keyboard: again('Gerar novo PIX', notice.checkoutId) };
    }
    case 'delayed':
      return plain('O seu PIX está demorando mais que o normal. Ele chega aqui assim que sair.');
    case 'unavailable': {
      const html = 'Não conseguimos gerar o seu PIX agora. Tente de novo em instantes, por favor.';
      return { ...plain(html), keyboard: again('Tentar de novo', notice.checkoutId) };
    }
    case 'bump':
      return renderBump(notice);
    case 'reversal':
      return plain(reversalText(notice.reversal, notice.text));
    case 'privacy':
      return renderPrivacy(notice);
    case 'my_data':
      return plain(personalData(notice.data));
    case 'erase_question': {
      const html =
        'Apagar os seus dados deste bot? Você deixa de receber mensagens, e o que foi pago e ' +
        'ainda não foi entregue não chega mais por aqui.';
      const yes = { text: '🗑 Sim, apagar', callback_data: encodePress({ type: 'erase' }) };
      return { ...plain(html), keyboard: [[yes]] };
    }
    case 'erased':
      return plain(erasedText(notice.contact));
    case 'reversal_note':
      return plain(reversalNote(notice));
    case 'erasure_note':
      return plain(
        '🗑 Um cliente pediu a exclusão dos seus dados. O bot apagou os dele; conclua nos ' +
          `outros sistemas. Lead: <code>${escapeHtml(notice.leadId)}</code>`,
      );
  }
}

const bold = (text: string): string => `<b>${escapeHtml(text)}</b>`;

function again(label: string, checkoutId: string): InlineButton[][] {
  return [[{ text: label, callback_data: encodePress({ type: 'buy_again', checkoutId }) }]];
}

function renderBump({ place, text, accept, decline }: Notice & { about: 'bump' }): MessagePart {
  const answer = (label: string, isAccepted: boolean): InlineButton[] => [
    { text: label, callback_data: encodePress({ type: 'bump', isAccepted, ...place }) },
  ];
  const keyboard = [answer(accept, true), answer(decline, false)];
  return { ...plain(escapeHtml(text)), keyboard };
}

/** The seller's words may say `{product}` and `{amount}`. */
function reversalText(reversal: Reversal, text: string | null): string {
  const { productName, cents, currency, isPartial } = reversal;
  const money = formatMoney(cents, currency);
  if (text !== null) {
    return escapeHtml(text.replaceAll('{product}', productName).replaceAll('{amount}', money));
  }
  const part = isPartial ? 'parte do pagamento' : 'o pagamento';
  return `↩️ Devolvemos ${part} de ${bold(productName)}: ${escapeHtml(money)}.`;
}

const reversalNames = {
  refunded: '↩️ Reembolso',
  disputed: '⚠️ Contestação (MED) aberta',
  dispute_settled: '✅ Contestação encerrada a seu favor',
  charged_back: '❌ Contestação perdida: o valor foi devolvido',
} as const;

function reversalNote(note: Notice & { about: 'reversal_note' }): string {
  const { reversal, paymentId, telegramUserId, accessStays } = note;
  const { about, productName, cents, currency, isPartial } = reversal;
  const part = isPartial ? ' (parcial)' : '';
  const afterRefund = accessStays
    ? 'O acesso continua, como este produto permite.'
    : 'Retire o acesso do cliente.';
  const access = {
    refunded: isPartial ? 'Decida se o acesso continua.' : afterRefund,
    disputed: 'Suspenda o acesso até a decisão do banco.',
    dispute_settled: 'O acesso pode voltar.',
    charged_back: 'Retire o acesso do cliente.',
  }[about];
  const buyer = telegramUserId === null ? [] : [`Cliente: <code>${telegramUserId}</code>`];
  return [
    `${reversalNames[about]}${part}: ${bold(productName)}, ${escapeHtml(formatMoney(cents, currency))}.`,
    access,
    ...buyer,
    `Pagamento: <code>${escapeHtml(paymentId)}</code>`,
  ].join('\n');
}

function renderPrivacy({ privacy }: Notice & { about: 'privacy' }): MessagePart {
  const kept = [
    '🔒 <b>Os seus dados</b>',
    'Este bot guarda o seu identificador do Telegram, o idioma, os botões que você tocou e os ' +
      'seus pedidos, para vender, entregar e comprovar o pagamento. Nome, telefone e mensagens ' +
      'que você escreve não são guardados.',
    'Se você veio de um anúncio, o clique é ligado ao seu pedido, e a compra pode ser informada ' +
      'à plataforma do anúncio, com os identificadores embaralhados (hash).',
    '/meusdados mostra o que está guardado; /apagar apaga.',
  ];
  const who =
    privacy === null
      ? []
      : [`Responsável: ${bold(privacy.controller)}. Contato: ${escapeHtml(privacy.contact)}`];
  const html = [...kept, ...who].join('\n\n');
  const url = privacy?.policyUrl ?? null;
  const keyboard = url === null ? [] : [[{ text: 'Política de privacidade', url }]];
  return { ...plain(html), keyboard };
}

/** A message holds 4096 characters: of long lists the newest are shown. */
const maxShown = 15;

const states: Readonly<Record<string, string>> = {
  requested: 'PIX pedido',
  pending: 'PIX aguardando pagamento',
  paid: 'pago',
  expired: 'PIX expirado',
  refused: 'PIX cancelado',
  returned: 'devolvido',
};

function personalData(data: PersonalData): string {
  const { telegramUserId, languageCode, isPremium, firstSeenAt, clicks, checkouts } = data;
  const list = (title: string, lines: readonly string[]): string[] =>
    lines.length === 0 ? [] : ['', `<b>${title}</b>`, ...lines.slice(-maxShown)];
  return [
    '📄 <b>O que este bot sabe de você</b>',
    `Identificador do Telegram: <code>${telegramUserId}</code>`,
    `Idioma: ${escapeHtml(languageCode ?? 'não informado')}`,
    `Telegram Premium: ${isPremium ? 'sim' : 'não'}`,
    `Primeiro contato: ${brazilTime(firstSeenAt)}`,
    ...list(
      'Anúncios que trouxeram você',
      clicks.map(({ trackingToken, boundAt }) => {
        return `${brazilTime(boundAt)}: <code>${escapeHtml(trackingToken)}</code>`;
      }),
    ),
    ...list(
      'Pedidos',
      checkouts.map(({ productId, startedAt, status }) => {
        return `${brazilTime(startedAt)}: ${escapeHtml(productId)}, ${states[status] ?? ''}`;
      }),
    ),
    '',
    'Do clique no anúncio ficam também a data, a campanha, o navegador e, por um prazo curto, o ' +
      'endereço IP. /privacidade diz a quem pedir mais; /apagar apaga.',
  ].join('\n');
}

function erasedText(contact: string | null): string {
  const rest =
    'Os registros do pagamento ficam pelo prazo que a lei exige, e o responsável foi avisado ' +
    'para concluir a exclusão dos dados do anúncio.';
  const asking = contact === null ? '' : ` Dúvidas: ${escapeHtml(contact)}`;
  return `✅ Apagamos o que este bot sabia de você. ${rest}${asking}`;
}
