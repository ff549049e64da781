/** The customer's and the world's side of the sandbox, through its control API. */
import { request } from 'undici';

export interface ChatButton {
  readonly text: string;
  readonly callback_data?: string;
  readonly url?: string;
  readonly copy_text?: { readonly text: string };
}

export interface ChatMessage {
  readonly message_id: number;
  readonly from: { readonly is_bot: boolean };
  readonly text?: string;
  readonly caption?: string;
  readonly photo?: readonly unknown[];
  readonly reply_markup?: { readonly inline_keyboard: readonly (readonly ChatButton[])[] };
}

export interface Charge {
  readonly charge_id: string;
  readonly external_reference: string;
  readonly status: string;
  readonly pix_code: string;
}

export interface EventCopy {
  readonly eventTime: number | null;
  readonly matchKeys: readonly string[];
  readonly userData: Record<string, unknown>;
  readonly value: number | null;
  readonly currency: string | null;
  readonly warnings: readonly string[];
}

/** All copies of one event at Meta, grouped by what Meta deduplicates on. */
export interface EventGroup {
  readonly pixelId: string;
  readonly eventName: string;
  readonly eventId: string;
  readonly verdict: string;
  readonly browser: readonly EventCopy[];
  readonly server: readonly EventCopy[];
}

export interface GraphRequest {
  readonly status: number | null;
  readonly accepted: boolean;
  readonly events: readonly { readonly eventId: string; readonly eventTime: number }[];
}

export function sandboxClient(url: string) {
  async function call<T>(
    method: 'GET' | 'POST' | 'PUT' | 'DELETE',
    path: string,
    body?: object,
  ): Promise<T> {
    const response = await request(`${url}/control${path}`, {
      method,
      ...(body
        ? { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
        : {}),
    });
    const answer = await response.body.json();
    if (response.statusCode >= 400) throw new Error(`${method} ${path}: ${JSON.stringify(answer)}`);
    return answer as T;
  }
  const chat = (username: string, userId: number): string =>
    `/telegram/chats/${username}/${userId}`;
  return {
    messages: (username: string, userId: number) =>
      call<ChatMessage[]>('GET', `${chat(username, userId)}/messages`),
    start: (username: string, userId: number, payload: string) =>
      call<unknown>('POST', `${chat(username, userId)}/start`, { payload }),
    send: (username: string, userId: number, text: string) =>
      call<unknown>('POST', `${chat(username, userId)}/send`, { text }),
    press: (username: string, userId: number, messageId: number, callbackData: string) =>
      call<unknown>('POST', `${chat(username, userId)}/press`, { messageId, callbackData }),
    /** Replaces who exists; what happened stays. */
    putWorld: (world: object) => call<unknown>('PUT', '/world', world),
    charges: () => call<Charge[]>('GET', '/pix/charges'),
    /** Of the PIX gateways, newest first. */
    webhooks: () => call<{ readonly state: string }[]>('GET', '/pix/webhooks'),
    pay: (chargeId: string) => call<Charge>('POST', `/pix/charges/${chargeId}/pay`, {}),
    events: (eventId?: string) =>
      call<EventGroup[]>('GET', `/graph/events${eventId ? `?eventId=${eventId}` : ''}`),
    graphRequests: () => call<GraphRequest[]>('GET', '/graph/requests'),
    addFault: (rule: object) => call<unknown>('POST', '/faults', rule),
    clearFaults: () => call<unknown>('DELETE', '/faults'),
  };
}

export type SandboxClient = ReturnType<typeof sandboxClient>;
