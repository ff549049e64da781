import { type DestinationStream, pino, type Logger } from 'pino';

export type { Logger } from 'pino';

/** Names whose values never reach a log, at the depths where our objects carry them. */
const secretNames = [
  'authorization',
  'accessToken',
  'access_token',
  'apiKey',
  'token',
  'botToken',
  'webhookSecret',
  'secret',
  'password',
  'deliveryToken',
  'cpf',
  'clientIp',
  'ip',
];

export interface LoggerOptions {
  /** Left out where several services share a process: each has a child with its name. */
  readonly service?: string;
  readonly level: string;
  /** For a person at a terminal. */
  readonly isPretty?: boolean;
  /** Instead of stdout. */
  readonly stream?: DestinationStream;
}

/** JSON lines, or on request something to read. */
export function createLogger({ service, level, isPretty, stream }: LoggerOptions): Logger {
  const options = {
    level,
    base: service === undefined ? {} : { service },
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: {
      paths: secretNames.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]),
      censor: '[redacted]',
    },
  };
  if (stream) return pino(options, stream);
  if (!isPretty) return pino({ ...options, formatters: { level: (label) => ({ level: label }) } });
  const target = { target: 'pino-pretty', options: { ignore: 'pid,hostname', singleLine: true } };
  return pino({ ...options, transport: target });
}
