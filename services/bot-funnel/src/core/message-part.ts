/** One message as Telegram shows it: HTML, buttons, a file. Every value is escaped here. */
import type { StepMedia } from './funnel.ts';

export type InlineButton =
  | { readonly text: string; readonly callback_data: string }
  | { readonly text: string; readonly url: string }
  | { readonly text: string; readonly copy_text: { readonly text: string } };

/** A file beside the text, or a text to be drawn as a QR code; `html` is then the caption. */
export type PartMedia = StepMedia | { readonly type: 'qr'; readonly text: string };

/** One message as Telegram shows it. */
export interface MessagePart {
  readonly html: string;
  readonly keyboard: readonly (readonly InlineButton[])[];
  readonly media: PartMedia | null;
  /**
   * What must never stand in a chat twice begins as this text, which is then edited into the rest:
   * a send whose outcome is unknown cannot be repeated, an edit can. Null: sending twice is harmless.
   */
  readonly placeholder: string | null;
  /** Telegram's preview would open the link: a delivery page is for the customer alone. */
  readonly hasPreview: boolean;
}

/** In HTML parse mode these are the only characters with a meaning, in text and in attributes. */
export function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

export const plain = (html: string): MessagePart => ({
  html,
  keyboard: [],
  media: null,
  placeholder: null,
  hasPreview: false,
});

/** What stands in the chat until it is edited into the rest. */
export const placeholderPart = (text: string): MessagePart => plain(escapeHtml(text));
