/** Errors over HTTP as RFC 9457 asks: `application/problem+json`, never a stack trace. */

/** Thrown by a route for an outcome that the caller can mend. */
export class Problem extends Error {
  readonly code = 'HTTP_PROBLEM';
  readonly status: number;
  readonly title: string;
  /** More members of the problem document, e.g. `errors`. */
  readonly members: Readonly<Record<string, unknown>>;

  constructor(
    status: number,
    title: string,
    detail: string,
    members: Record<string, unknown> = {},
  ) {
    super(detail);
    this.name = 'Problem';
    this.status = status;
    this.title = title;
    this.members = members;
  }
}

export interface ProblemDocument {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly [member: string]: unknown;
}

export function problemDocument(problem: Problem): ProblemDocument {
  const { status, title, message, members } = problem;
  return { type: 'about:blank', title, status, detail: message, ...members };
}

interface HttpError extends Error {
  statusCode?: number;
  validation?: { instancePath: string; message?: string }[];
}

/** What a caller is told about any error; the text of unexpected ones stays in our log. */
export function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  const { statusCode = 500, validation, message } = error as HttpError;
  if (validation) {
    const errors = validation.map((v) => ({
      field: v.instancePath || '/',
      problem: v.message ?? 'is wrong',
    }));
    return new Problem(400, 'Invalid request', message, { errors });
  }
  if (statusCode >= 400 && statusCode < 500)
    return new Problem(statusCode, titleOf(statusCode), message);
  return new Problem(
    500,
    'Internal error',
    'Something went wrong on our side; it has been logged.',
  );
}

function titleOf(status: number): string {
  switch (status) {
    case 404:
      return 'Not found';
    case 413:
      return 'Body too large';
    case 415:
      return 'Unsupported media type';
    case 429:
      return 'Too many requests';
    default:
      return 'Invalid request';
  }
}
