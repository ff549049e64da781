/** From a message as data to Telegram's HTML and buttons; every value is escaped here. */
import { formatMoney } from '@rastro/events';
import { encodePress, type FunnelButton } from '../core/funnel.ts';
import type { Message, Notice, Pix } from '../core/message.ts';

export type InlineButton =
  | { readonly text: string; readonly callback_data: string }
  | { readonly text: string; readonly url: string }
  | { readonly text: string; readonly copy_text: { readonly text: string } };

/** One call of the Bot API. */
export interface MessagePart {
  readonly html: string;
  readonly keyboard: readonly (readonly InlineButton[])[];
  /** Text to be drawn as a QR code; `html` is then the picture's caption. */
  readonly qrText: string | null;
  /** Telegram's preview would open the link: a delivery page is for the customer alone. */
  readonly hasPreview: boolean;
}

/** `copy_text` takes 256 characters, a caption 1024; both are the Bot API's limits. */
const maxCopyLength = 256;
const maxCaptionLength = 1_024;

/** In HTML parse mode these are the only characters with a meaning, in text and in attributes. */
function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

/** @returns one part, or two where a picture cannot carry the whole text. */
export function renderMessage(message: Message): readonly MessagePart[] {
  switch (message.kind) {
    case 'step': {
      const keyboard = message.buttons.map((button, index) => [stepButton(message, button, index)]);
      return [{ ...plain(escapeHtml(message.text)), keyboard, hasPreview: true }];
    }
    case 'pix':
      return renderPix(message.pix);
    case 'paid': {
      const name = escapeHtml(message.productName);
      return [plain(`✅ Pagamento confirmado! Obrigado por comprar <b>${name}</b>.`)];
    }
    case 'delivery':
      return [renderDelivery(message.productName, message.link)];
    case 'notice':
      return [renderNotice(message.notice)];
  }
}

const plain = (html: string): MessagePart => ({
  html,
  keyboard: [],
  qrText: null,
  hasPreview: false,
});

function stepButton(
  place: { snapshotKey: string; step: number },
  button: FunnelButton,
  index: number,
): InlineButton {
  const { label, url } = button;
  if (url !== undefined) return { text: label, url };
  const { snapshotKey, step } = place;
  const press = { type: 'step_button', snapshotKey, step, button: index } as const;
  return { text: label, callback_data: encodePress(press) };
}

function renderPix(pix: Pix): readonly MessagePart[] {
  const { productName, amountCents, currency, pixCode, checkoutNotice, paymentId } = pix;
  const lines = [
    `<b>${escapeHtml(productName)}</b>`,
    `Valor: <b>${escapeHtml(formatMoney(amountCents, currency))}</b>`,
    `Pague até <b>${brazilTime(pix.expiresAt)}</b> (horário de Brasília).`,
    '',
    'Escaneie o QR code ou use o PIX copia e cola:',
    `<code>${escapeHtml(pixCode)}</code>`,
    ...(checkoutNotice === null ? [] : ['', escapeHtml(checkoutNotice)]),
  ];
  const html = lines.join('\n');
  const copy = { text: '📋 Copiar código PIX', copy_text: { text: pixCode } };
  const paid = { type: 'already_paid', paymentId } as const;
  const keyboard: InlineButton[][] = [
    ...(pixCode.length <= maxCopyLength ? [[copy]] : []),
    [{ text: '✅ Já paguei', callback_data: encodePress(paid) }],
  ];
  // The limit counts the text that is shown, which is never longer than its markup.
  if (html.length <= maxCaptionLength) {
    return [{ html, keyboard, qrText: pixCode, hasPreview: false }];
  }
  return [
    { ...plain(''), qrText: pixCode },
    { ...plain(html), keyboard },
  ];
}

function renderDelivery(productName: string, link: string | null): MessagePart {
  const name = escapeHtml(productName);
  if (link === null) return plain(`📦 <b>${name}</b>: o vendedor enviará o seu acesso por aqui.`);
  // In the text as well: Telegram shows no button for an address of this machine.
  const html = `📦 O seu acesso a <b>${name}</b> está pronto:\n${escapeHtml(link)}`;
  return { ...plain(html), keyboard: [[{ text: '🔓 Acessar agora', url: link }]] };
}

function renderNotice(notice: Notice): MessagePart {
  switch (notice.about) {
    case 'expired': {
      const name = escapeHtml(notice.productName);
      const html = `⌛ O PIX de <b>${name}</b> expirou. Quer gerar um novo?`;
      return { ...plain(html), keyboard: again('Gerar novo PIX', notice.checkoutId) };
    }
    case 'refused': {
      const name = escapeHtml(notice.productName);
      const html = `O PIX de <b>${name}</b> foi cancelado pelo banco. Quer gerar um novo?`;
      return { ...plain(html), keyboard: again('Gerar novo PIX', notice.checkoutId) };
    }
    case 'delayed': {
      const html = 'O seu PIX está demorando mais que o normal. Ele chega aqui assim que sair.';
      return { ...plain(html), keyboard: [] };
    }
    case 'unavailable': {
      const html = 'Não conseguimos gerar o seu PIX agora. Tente de novo em instantes, por favor.';
      return { ...plain(html), keyboard: again('Tentar de novo', notice.checkoutId) };
    }
    case 'refunded': {
      const name = escapeHtml(notice.productName);
      const money = escapeHtml(formatMoney(notice.totalRefundedCents, notice.currency));
      const part = notice.isPartial ? 'parte do pagamento' : 'o pagamento';
      return plain(`↩️ Devolvemos ${part} de <b>${name}</b>: ${money}.`);
    }
  }
}

function again(label: string, checkoutId: string): InlineButton[][] {
  return [[{ text: label, callback_data: encodePress({ type: 'buy_again', checkoutId }) }]];
}

const brazil = new Intl.DateTimeFormat('pt-BR', {
  timeZone: 'America/Sao_Paulo',
  day: '2-digit',
  month: '2-digit',
  hour: '2-digit',
  minute: '2-digit',
});

function brazilTime(iso: string): string {
  return brazil.format(new Date(iso)).replace(', ', ' às ');
}
