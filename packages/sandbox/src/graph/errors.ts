/**
 * Meta's error answers: `{error: {message, type, code, error_subcode?, …, fbtrace_id}}`
 * (Graph API, "Handling errors"). Subcodes are those seen in the field or in Meta's documentation.
 */
import { randomBytes } from 'node:crypto';
import type { Answer } from '../faults/answer.ts';

export interface GraphError {
  status: number;
  code: number;
  subcode?: number;
  type?: 'OAuthException' | 'GraphMethodException';
  message: string;
  title?: string;
  detail?: string;
  isTransient?: boolean;
  blameFieldSpecs?: string[][];
}

export function createTraceId(): string {
  return `A${randomBytes(16).toString('base64url')}`;
}

export function graphErrorAnswer(error: GraphError, traceId: string): Answer {
  const { status, code, subcode, message, title, detail, blameFieldSpecs } = error;
  return {
    status,
    body: {
      error: {
        message,
        type: error.type ?? 'OAuthException',
        code,
        ...(blameFieldSpecs === undefined
          ? {}
          : { error_data: JSON.stringify({ blame_field_specs: blameFieldSpecs }) }),
        ...(subcode === undefined ? {} : { error_subcode: subcode }),
        is_transient: error.isTransient ?? false,
        ...(title === undefined ? {} : { error_user_title: title }),
        ...(detail === undefined ? {} : { error_user_msg: detail }),
        fbtrace_id: traceId,
      },
    },
  };
}

export function invalidParameter(detail: string, subcode?: number, title?: string): GraphError {
  return {
    status: 400,
    code: 100,
    ...(subcode === undefined ? {} : { subcode }),
    message: 'Invalid parameter',
    title: title ?? 'Invalid parameter',
    detail,
  };
}

export const missingToken: GraphError = {
  status: 400,
  code: 190,
  message: 'An access token is required to request this resource.',
};

export const invalidToken: GraphError = {
  status: 401,
  code: 190,
  message: 'Invalid OAuth access token - Cannot parse access token',
};

export function objectMissing(objectId: string, method: 'get' | 'post'): GraphError {
  return {
    status: 400,
    code: 100,
    subcode: 33,
    type: 'GraphMethodException',
    message:
      `Unsupported ${method} request. Object with ID '${objectId}' does not exist, cannot be loaded ` +
      'due to missing permissions, or does not support this operation. Please read the Graph API ' +
      'documentation at https://developers.facebook.com/docs/graph-api',
  };
}

/** Codes that Meta calls transient or throttling, with the words it answers them with. */
const knownMessages: Record<number, { message: string; isTransient: boolean }> = {
  1: { message: 'An unknown error occurred', isTransient: true },
  2: { message: 'Service temporarily unavailable', isTransient: true },
  4: { message: 'Application request limit reached', isTransient: true },
  10: { message: '(#10) Application does not have permission for this action', isTransient: false },
  17: { message: 'User request limit reached', isTransient: true },
  102: { message: 'Session key invalid or no longer valid', isTransient: false },
  190: { message: 'Error validating access token: Session has expired', isTransient: false },
  200: { message: '(#200) Permissions error', isTransient: false },
  341: { message: 'Application limit reached', isTransient: true },
  368: {
    message: 'The action attempted has been deemed abusive or is otherwise disallowed',
    isTransient: false,
  },
  613: { message: 'Calls to this api have exceeded the rate limit.', isTransient: true },
  80_004: { message: 'There have been too many calls to this ad-account.', isTransient: true },
};

/** The body of a switched-on fault that names a code, or of a bare status. */
export function graphFaultBody(
  fault: { code?: number; subcode?: number },
  status: number,
): unknown {
  const code = fault.code ?? (status === 401 ? 190 : status >= 500 ? 2 : 100);
  const known = knownMessages[code] ?? { message: 'Invalid parameter', isTransient: false };
  const { subcode } = fault;
  const error: GraphError = {
    status,
    code,
    ...known,
    ...(subcode === undefined ? {} : { subcode }),
  };
  return graphErrorAnswer(error, createTraceId()).body;
}
