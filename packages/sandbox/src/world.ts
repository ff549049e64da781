/** Who exists in the sandbox: the accounts that a real vendor would have opened. */
import Type, { type Static } from 'typebox';
import { Errors } from 'typebox/value';

export const gatewayKinds = [
  'standard-webhooks',
  'mercadopago',
  'pushinpay',
  'woovi',
  'abacatepay',
] as const;
export type GatewayKind = (typeof gatewayKinds)[number];

const Text = Type.String({ minLength: 1 });

export const sandboxWorldSchema = Type.Object({
  bots: Type.Array(
    Type.Object({
      token: Type.String({ pattern: '^\\d+:\\S+$' }),
      username: Type.String({ pattern: '^[A-Za-z0-9_]{3,32}$' }),
      name: Type.Optional(Text),
    }),
  ),
  pixels: Type.Array(
    Type.Object({
      id: Type.String({ pattern: '^\\d+$' }),
      accessToken: Text,
      name: Type.Optional(Text),
    }),
  ),
  pixAccounts: Type.Array(
    Type.Object({
      /** Whose API it is an account of; unset: the generic gateway's. */
      kind: Type.Optional(Type.Enum(gatewayKinds)),
      /** What calls carry: API key, access token or AppID. */
      apiKey: Text,
      /** `whsec_…` for the generic gateway; none for Woovi, which signs with its own key. */
      webhookSecret: Type.Optional(Text),
      /** Where its webhooks go, at gateways whose panel asks for it and not the call. */
      webhookUrl: Type.Optional(Type.String({ pattern: '^https?://\\S+$' })),
      name: Type.Optional(Text),
    }),
  ),
  pools: Type.Optional(Type.Array(Type.Object({ slug: Text, name: Type.Optional(Text) }))),
});

export type SandboxWorld = Static<typeof sandboxWorldSchema>;
export type WorldBot = SandboxWorld['bots'][number];
export type WorldPixel = SandboxWorld['pixels'][number];
export type WorldPixAccount = SandboxWorld['pixAccounts'][number];

/** The world as it is now; the stand-ins ask anew each time, so that it can be replaced. */
export interface WorldHolder {
  current: SandboxWorld;
}

export class InvalidWorldError extends Error {
  readonly code = 'SANDBOX_WORLD_INVALID';
}

function secretProblems({ pixAccounts }: SandboxWorld): string[] {
  return pixAccounts.flatMap(({ kind = 'standard-webhooks', webhookSecret = '' }, index) => {
    const isFine =
      kind === 'woovi' ||
      (kind === 'standard-webhooks' ? /^whsec_[A-Za-z0-9+/=]+$/ : /./).test(webhookSecret);
    return isFine ? [] : [`/pixAccounts/${index}/webhookSecret does not fit ${kind}`];
  });
}

/** @throws InvalidWorldError naming every wrong place at once. */
export function parseWorld(value: unknown): SandboxWorld {
  const problems = Errors(sandboxWorldSchema, value).map(
    (problem) => `${problem.instancePath === '' ? '/' : problem.instancePath} ${problem.message}`,
  );
  if (problems.length === 0) problems.push(...secretProblems(value as SandboxWorld));
  if (problems.length > 0) {
    throw new InvalidWorldError(`The sandbox's world is wrong: ${problems.join('; ')}`);
  }
  return value as SandboxWorld;
}
