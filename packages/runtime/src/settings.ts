/** The variables that several services share, each described once. */
import {
  address,
  masterKey,
  oneOf,
  plainAddress,
  proxyList,
  secret,
  text,
  wholeNumber,
} from './environment.ts';

export const settings = {
  host: () => text({ default: '127.0.0.1', desc: 'address to listen on', example: '0.0.0.0' }),
  port: (port: number) =>
    wholeNumber(0, 65_535)({ default: port, desc: 'port to listen on', example: String(port) }),
  logLevel: (level: 'info' | 'warn' = 'info') =>
    oneOf(
      'trace',
      'debug',
      'info',
      'warn',
      'error',
      'fatal',
      'silent',
    )({
      default: level,
      desc: 'how much is logged',
      example: 'info',
    }),
  publicOrigin: () =>
    address(
      'http',
      'https',
    )({
      default: 'http://localhost:8080',
      desc: 'origin under which visitors reach Rastro',
      example: 'https://go.example.com',
    }),
  dataDir: () =>
    text({ default: '.data', desc: 'folder for local state', example: '/var/lib/rastro' }),
  natsUrl: () =>
    address(
      'nats',
      'tls',
    )({ desc: 'NATS server with JetStream', example: 'nats://user:password@127.0.0.1:4222' }),
  natsReplicas: () =>
    wholeNumber(1, 5)({ default: 1, desc: 'copies of each stream', example: '3' }),
  postgresUrl: () =>
    address(
      'postgres',
      'postgresql',
    )({
      desc: 'Postgres database',
      example: 'postgres://user:password@127.0.0.1:5432/rastro',
    }),
  redisUrl: () =>
    address(
      'redis',
      'rediss',
    )({ desc: 'Redis or Valkey', example: 'redis://:password@127.0.0.1:6379' }),
  masterKey: () =>
    masterKey({ desc: 'encrypts secrets at rest', example: '$(openssl rand -base64 32)' }),
  apiKey: () => secret({ desc: 'key of the REST API', example: '$(openssl rand -hex 24)' }),
  ipRetentionDays: () =>
    wholeNumber(
      0,
      3_650,
    )({
      default: 30,
      desc: "days after which visitors' addresses are forgotten; 0: never",
      example: '30',
    }),
  trustedProxies: () =>
    proxyList({
      default: ['loopback'],
      desc: 'proxies whose X-Forwarded-For is believed',
      example: 'loopback,10.0.0.0/8',
    }),
  metaGraphUrl: () =>
    plainAddress(
      'http',
      'https',
    )({
      default: 'https://graph.facebook.com',
      desc: "Meta's Graph API",
      example: 'https://graph.facebook.com',
    }),
  metaPixelScriptUrl: () =>
    address(
      'http',
      'https',
    )({
      default: 'https://connect.facebook.net/en_US/fbevents.js',
      desc: "Meta's Pixel script",
      example: 'https://connect.facebook.net/en_US/fbevents.js',
    }),
  telegramApiUrl: () =>
    address(
      'http',
      'https',
    )({
      default: 'https://api.telegram.org',
      desc: "Telegram's Bot API",
      example: 'https://api.telegram.org',
    }),
  telegramLinkUrl: () =>
    address(
      'http',
      'https',
    )({
      default: 'https://t.me',
      desc: 'where links to bots begin',
      example: 'https://t.me',
    }),
} as const;
