/** From a message as data to Telegram's HTML and buttons; every value is escaped here. */
import { formatMoney } from '@rastro/events';
import { encodePress, type FunnelButton } from './funnel.ts';
import type { Message, Pix } from './message.ts';
import { escapeHtml, type InlineButton, type MessagePart, plain } from './message-part.ts';
import { renderNotice } from './notices.ts';
import { brazilTime } from './time.ts';

/** `copy_text` takes 256 characters, a caption 1024; both are the Bot API's limits. */
const maxCopyLength = 256;
const maxCaptionLength = 1_024;

/** @returns one part, or two where a file cannot carry the whole text. */
export function renderMessage(message: Message): readonly MessagePart[] {
  switch (message.kind) {
    case 'step':
      return renderStep(message);
    case 'pix':
      return renderPix(message.pix);
    case 'paid':
      return [renderPaid(message)];
    case 'delivery':
      return [renderDelivery(message.productName, message.link)];
    case 'notice':
      return [renderNotice(message.notice)];
  }
}

function renderStep(step: Message & { kind: 'step' }): readonly MessagePart[] {
  const { text, media, buttons } = step;
  const keyboard = buttons.map((button, index) => [stepButton(step, button, index)]);
  const html = escapeHtml(text);
  if (media === null) return [{ ...plain(html), keyboard, hasPreview: true }];
  if (text.length <= maxCaptionLength) return [{ ...plain(html), media, keyboard }];
  return [
    { ...plain(''), media },
    { ...plain(html), keyboard, hasPreview: true },
  ];
}

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

/** What must not come twice has to be one message: code, picture and buttons together. */
function renderPix(pix: Pix): readonly MessagePart[] {
  const { productName, amountCents, currency, pixCode, checkoutNotice, paymentId } = pix;
  const lines = [
    `<b>${escapeHtml(productName)}</b>`,
    `Valor: <b>${escapeHtml(formatMoney(amountCents, currency))}</b>`,
    `Pague até <b>${brazilTime(pix.expiresAt)}</b> (horário de Brasília).`,
    '',
    'Escaneie o QR code ou use o PIX copia e cola:',
    `<code>${escapeHtml(pixCode)}</code>`,
  ];
  const notice = checkoutNotice === null ? [] : ['', escapeHtml(checkoutNotice)];
  const copy = { text: '📋 Copiar código PIX', copy_text: { text: pixCode } };
  const paid = { type: 'already_paid', paymentId } as const;
  const keyboard: InlineButton[][] = [
    ...(pixCode.length <= maxCopyLength ? [[copy]] : []),
    [{ text: '✅ Já paguei', callback_data: encodePress(paid) }],
  ];
  // The limit counts the text that is shown, which is never longer than its markup.
  const fits = (text: readonly string[]): boolean => text.join('\n').length <= maxCaptionLength;
  const isWhole = fits([...lines, ...notice]);
  const html = (isWhole ? [...lines, ...notice] : lines).join('\n');
  const media = fits(isWhole ? [...lines, ...notice] : lines)
    ? ({ type: 'qr', text: pixCode } as const)
    : null;
  const placeholder = '⏳ Gerando o seu PIX…';
  const shown = { ...plain(html), media, keyboard, placeholder };
  return isWhole || checkoutNotice === null ? [shown] : [plain(escapeHtml(checkoutNotice)), shown];
}

function renderPaid({ productName, text }: Message & { kind: 'paid' }): MessagePart {
  if (text !== null) return plain(escapeHtml(text.replaceAll('{product}', productName)));
  const name = escapeHtml(productName);
  return plain(`✅ Pagamento confirmado! Obrigado por comprar <b>${name}</b>.`);
}

function renderDelivery(productName: string, link: string | null): MessagePart {
  const name = escapeHtml(productName);
  if (link === null) return plain(`📦 <b>${name}</b>: o vendedor enviará o seu acesso por aqui.`);
  // In the text as well: Telegram shows no button for an address of this machine.
  const html = `📦 O seu acesso a <b>${name}</b> está pronto:\n${escapeHtml(link)}`;
  const placeholder = '📦 Preparando o seu acesso…';
  return { ...plain(html), placeholder, keyboard: [[{ text: '🔓 Acessar agora', url: link }]] };
}
