/** What a workspace's own program may do here: its account at the server, its durable consumer. */
import { funnelStart, funnelStep, paymentsCreate, paymentsRevalidate } from '@rastro/events';
import type { Nats } from './connection.ts';
import { ensureConsumer } from './provision.ts';
import { secondsToNanos, type StreamName } from './topology.ts';

const stream: StreamName = 'COMMERCE';
const aggregates = ['lead', 'payment', 'delivery'];

/**
 * The JetStream domain that a program names to reach our streams: its own account has none, and
 * `$JS.API` without a domain would ask that one.
 */
const domain = 'rastro';

/** What a workspace's program reads with; made here, since who makes consumers can read anything. */
export const workspaceDurable = (workspaceId: string): string => `external__${workspaceId}`;

/** `workspace.<id>.<subject>`: a request as the server hands it over from that workspace's account. */
export const attestedSubject = (workspaceId: string, subject: string): string =>
  `workspace.${workspaceId}.${subject}`;

/** The workspace of an attested subject; undefined where one of ours asks for any workspace. */
export function attestedWorkspace(subject: string): string | undefined {
  return /^workspace\.([^.]+)\./.exec(subject)?.[1];
}

/** From where in a workspace's account to where in ours. */
function imports(workspaceId: string): { local: string; remote: string }[] {
  const requests = [funnelStart, funnelStep, paymentsCreate, paymentsRevalidate];
  const durable = `${stream}.${workspaceDurable(workspaceId)}`;
  return [
    ...requests.map(({ subject }) => ({
      local: subject,
      remote: attestedSubject(workspaceId, subject),
    })),
    ...['INFO', 'MSG.NEXT'].map((call) => ({
      local: `$JS.${domain}.API.CONSUMER.${call}.${durable}`,
      remote: `$JS.API.CONSUMER.${call}.${durable}`,
    })),
    { local: `$JS.ACK.${durable}.>`, remote: `$JS.ACK.${durable}.>` },
  ];
}

const text = (value: string): string => JSON.stringify(value);

/**
 * One entry of the server's `accounts`. A workspace is known by the account, never by what a
 * message says of itself; account RASTRO has to export what is imported here.
 * @param publicKeys nkeys of its users.
 */
export function workspaceAccount(workspaceId: string, publicKeys: readonly string[]): string {
  const lines = imports(workspaceId).map(
    ({ local, remote }) =>
      `    { service: { account: RASTRO, subject: ${text(remote)} }, to: ${text(local)} }`,
  );
  const publish = imports(workspaceId).map(({ local }) => text(local));
  const permissions = `{ publish: { allow: [${publish.join(', ')}] }, subscribe: { allow: ["_INBOX.>"] } }`;
  const users = publicKeys.map((key) => `    { nkey: ${key}, permissions: ${permissions} }`);
  return `${text(`WORKSPACE_${workspaceId}`)} {
  users: [
${users.join('\n')}
  ]
  imports: [
${lines.join('\n')}
  ]
  limits { max_connections: 32, max_subscriptions: 256, max_payload: 65536 }
}
`;
}

/**
 * The durable that a workspace's program pulls from; it keeps its place in the stream.
 * It begins with what comes next: a bot that was ours before must not greet old customers again.
 */
export function ensureWorkspaceConsumer(nats: Nats, workspaceId: string): Promise<void> {
  return ensureConsumer(nats, stream, {
    durable_name: workspaceDurable(workspaceId),
    ack_policy: 'explicit',
    deliver_policy: 'new',
    filter_subjects: aggregates.map((aggregate) => `events.${workspaceId}.${aggregate}.>`),
    ack_wait: secondsToNanos(30),
    max_deliver: -1,
    max_ack_pending: 256,
  });
}
