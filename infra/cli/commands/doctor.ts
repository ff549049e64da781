/** `rastro doctor`: why does nothing arrive at Meta? */
import { createLogger, endProcess, readEnvironment, settings } from '@rastro/runtime';
import { type Command, InvalidArgumentError } from 'commander';
import { rolePassword } from '../../database.ts';
import { type Diagnosis, examine } from '../../doctor/doctor.ts';
import type { Finding } from '../../doctor/finding.ts';
import { vendorAddresses } from '../../house-environment.ts';
import { connection } from '../connection.ts';
import { misuse, printJson, say } from '../output.ts';

interface Options {
  readonly workspace?: string;
  readonly pool?: string;
  readonly testCall?: string;
  readonly json?: boolean;
}

export function addDoctorCommand(program: Command): void {
  program
    .command('doctor')
    .description(
      'checks what a working set-up needs, from Postgres to each pool’s pixel, and prints what mends each fault; changes nothing, and exits with 1 when something stands still',
    )
    .option('--workspace <id>', 'only pools of this workspace')
    .option('--pool <id>', 'only this pool')
    .option(
      '--test-call <code>',
      'also sends Meta one PageView for each pool, with this code of Events Manager → Test events; Meta counts it',
      testEventCode,
    )
    .option('--json')
    .action(doctor);
}

/** @throws {InvalidArgumentError} */
function testEventCode(text: string): string {
  if (/^[A-Za-z0-9_-]{1,64}$/.test(text)) return text;
  throw new InvalidArgumentError('copy it from Events Manager → Test events, e.g. TEST12345');
}

async function doctor({ workspace, pool, testCall, json = false }: Options): Promise<void> {
  const { config, secrets, sandboxUrl, publicOrigin, graph, ...house } = connection();
  const environment = { ...vendorAddresses(sandboxUrl), ...config.environment };
  const { NATS_REPLICAS: natsReplicas } = readEnvironment(environment, {
    NATS_REPLICAS: settings.natsReplicas(),
  });
  const diagnosis = await examine({
    ...house,
    publicOrigin,
    natsReplicas,
    isSandbox: sandboxUrl !== null,
    masterKey: Buffer.from(secrets.masterKey, 'base64'),
    passwordOf: (schema) => rolePassword(schema, secrets.masterKey, config.environment),
    isChosen: ({ workspaceId, item }) =>
      (workspace ?? workspaceId) === workspaceId && (pool ?? item.id) === item.id,
    testCall: testCall === undefined ? null : { graph, testEventCode: testCall, publicOrigin },
    log: createLogger({ service: 'cli', level: 'silent' }),
  });
  refuseUnknown({ workspace, pool }, diagnosis);
  const { findings } = diagnosis;
  if (json) printJson(findings);
  else print(findings);
  // The client's connection to a NATS server that says nothing would keep us here.
  endProcess(findings.some(({ status }) => status === 'failed') ? 1 : 0);
}

function refuseUnknown(
  { workspace, pool }: { workspace: string | undefined; pool: string | undefined },
  { pools }: Diagnosis,
): void {
  if ((workspace ?? pool) === undefined || pools === null || pools.length > 0) return;
  const name = pool === undefined ? '' : ` ${pool}`;
  const where = workspace === undefined ? '' : ` in workspace ${workspace}`;
  misuse(`There is no pool${name}${where}; pnpm rastro catalog show WORKSPACE lists them.`);
}

const marks = { ok: 'ok     ', warning: 'warning', failed: 'FAILED ' } as const;

/** One line each; below what is not well, what mends it. */
function print(findings: readonly Finding[]): void {
  for (const { check, subject, status, detail, mend } of findings) {
    say(`${marks[status]}  ${check}, ${subject}: ${detail}`);
    if (mend !== null) say(`         → ${mend}`);
  }
  const count = (status: Finding['status']): number =>
    findings.filter((finding) => finding.status === status).length;
  say(`\n${count('failed')} failed, ${count('warning')} warnings, ${count('ok')} ok.`);
}
