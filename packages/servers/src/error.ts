export type ServerErrorCode =
  | 'SERVER_BINARY_MISSING'
  | 'SERVER_TOO_OLD'
  | 'SERVER_PORT_TAKEN'
  | 'SERVER_DATA_IN_USE'
  | 'SERVER_DATA_UNUSABLE'
  | 'SERVER_ROOT_REFUSED'
  | 'SERVER_NOT_READY';

/** A private server that could not be started; the message says what mends it. */
export class ServerError extends Error {
  override readonly name = 'ServerError';
  readonly code: ServerErrorCode;

  constructor(code: ServerErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
