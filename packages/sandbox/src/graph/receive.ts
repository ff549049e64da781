/** One request to `/{version}/{pixel}/events`, from its token to its answer. */
import type { Answer } from '../faults/answer.ts';
import type { FaultAction } from '../faults/rules.ts';
import type { WorldPixel } from '../world.ts';
import { checkAccess, checkVersion } from './access.ts';
import { createTraceId, type GraphError, graphErrorAnswer, invalidParameter } from './errors.ts';
import { validateEvent } from './event-validation.ts';
import { type Findings, isRecord, plainText } from './findings.ts';
import { createCopyId, type EventCopy } from './store.ts';

export interface IncomingRequest {
  requestId: string;
  version: string;
  pixelId: string;
  token: string | null;
  /** Top-level parameters, from JSON or from a form. */
  parameters: Record<string, unknown>;
}

export interface Reception {
  answer: Answer;
  traceId: string;
  tokenOk: boolean;
  error: GraphError | null;
  events: unknown[];
  copies: EventCopy[];
  testEventCode: string | null;
}

const maxEventsPerRequest = 1000;

/** @param condemn what a switched-on fault finds wrong with one of these events. */
export function receiveEvents(
  request: IncomingRequest,
  pixels: readonly WorldPixel[],
  nowMs: number,
  condemn: (eventIds: () => string[]) => FaultAction | null = () => null,
): Reception {
  const traceId = createTraceId();
  const { testEventCode, events, error: shapeError } = readData(request.parameters);
  const { version, pixelId, token } = request;
  const tokenError = checkAccess({ token, pixelId, method: 'post' }, pixels);
  const versionError = checkVersion(version, `/${pixelId}/events`);
  const tokenOk = tokenError === null || tokenError.subcode === 33;
  const findings = events.map((event, index) => validateEvent(event, index, nowMs));
  const condemned = condemn(() => events.map(eventIdOf));
  const error =
    versionError ??
    tokenError ??
    shapeError ??
    firstFault(findings) ??
    (condemned && condemnation(condemned));
  const seen = { traceId, tokenOk, error, events, testEventCode };
  if (error !== null) return { ...seen, answer: graphErrorAnswer(error, traceId), copies: [] };
  const copies = events.map((event, index) =>
    copyOf(event as Record<string, unknown>, findings[index]?.warnings ?? [], request, nowMs),
  );
  const agent = request.parameters['partner_agent'];
  for (const copy of copies) {
    copy.testEventCode = testEventCode;
    copy.partnerAgent = typeof agent === 'string' ? agent : null;
  }
  const body = { events_received: copies.length, messages: [], fbtrace_id: traceId };
  return { ...seen, answer: { status: 200, body }, copies };
}

function readData(parameters: Record<string, unknown>): {
  events: unknown[];
  error: GraphError | null;
  testEventCode: string | null;
} {
  const code = parameters['test_event_code'];
  const testEventCode = typeof code === 'string' && code !== '' ? code : null;
  const refuse = (error: GraphError, events: unknown[] = []) => ({ events, error, testEventCode });
  let { data } = parameters;
  if (typeof data === 'string') data = parseOrNull(data);
  if (data === undefined) {
    const message = '(#100) The parameter data is required.';
    return refuse({ status: 400, code: 100, message });
  }
  if (!Array.isArray(data)) {
    const message = '(#100) Param data must be an array.';
    return refuse({ status: 400, code: 100, message });
  }
  if (data.length === 0) {
    return refuse({ status: 400, code: 100, message: '(#100) Param data must be non-empty.' });
  }
  if (data.length > maxEventsPerRequest) {
    const detail = `A request may carry ${maxEventsPerRequest} events, not ${data.length}.`;
    return refuse(invalidParameter(detail));
  }
  const agent = parameters['partner_agent'];
  // Meta's own SDK says null for what it does not say.
  if (agent !== undefined && agent !== null && !isPartnerAgent(agent)) {
    const detail = 'partner_agent must have fewer than 23 characters and at least two letters.';
    return refuse(invalidParameter(detail), data);
  }
  return { events: data, error: null, testEventCode };
}

function isPartnerAgent(agent: unknown): boolean {
  return typeof agent === 'string' && agent.length < 23 && /[a-z].*[a-z]/i.test(agent);
}

function parseOrNull(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}

/** One bad event rejects the batch; the answer tells of the first fault only, as Meta's does. */
function firstFault(findings: readonly Findings[]): GraphError | undefined {
  const fault = findings.flatMap((found) => found.faults)[0];
  if (fault === undefined) return undefined;
  const title = fault.title ?? 'Server Side Api Parameter Error';
  return {
    ...invalidParameter(fault.detail, fault.subcode, title),
    blameFieldSpecs: [[fault.path]],
  };
}

function eventIdOf(event: unknown): string {
  return isRecord(event) ? plainText(event['event_id']) : '';
}

function condemnation({ code = 100, subcode }: FaultAction): GraphError {
  const detail = 'The sandbox was told to find fault with one of these events.';
  const title = 'Server Side Api Parameter Error';
  return { ...invalidParameter(detail, subcode, title), code };
}

function copyOf(
  event: Record<string, unknown>,
  warnings: string[],
  request: IncomingRequest,
  nowMs: number,
): EventCopy {
  const userData = isRecord(event['user_data']) ? event['user_data'] : {};
  const customData = isRecord(event['custom_data']) ? event['custom_data'] : {};
  const text = (value: unknown) => (typeof value === 'string' ? value : null);
  return {
    id: createCopyId(),
    source: 'server',
    pixelId: request.pixelId,
    eventName: String(event['event_name']),
    eventId: text(event['event_id']),
    receivedAtMs: nowMs,
    eventTime: Number(event['event_time']),
    actionSource: text(event['action_source']),
    eventSourceUrl: text(event['event_source_url']),
    value: customData['value'] === undefined ? null : Number(customData['value']),
    currency: text(customData['currency']),
    matchKeys: Object.keys(userData),
    userData,
    customData,
    testEventCode: null,
    partnerAgent: null,
    warnings,
    requestId: request.requestId,
    raw: event,
  };
}
