import { readFileSync } from 'node:fs';
import { Simulation, SimulationError, type SimulationOptions } from '@rastro/bot-funnel/simulation';
import { defaultWalk, parseWalk } from '@rastro/bot-funnel/simulated-walk';
import { simulationText } from '@rastro/bot-funnel/simulation-text';
import type { CatalogFile } from '@rastro/operator-console/catalog-file';
import type { Environment } from '@rastro/runtime';
import type { Command } from 'commander';
import { parseCatalogYaml } from '../../catalog-yaml.ts';
import { misuse, printJson, say } from '../output.ts';

export function addFunnelCommands(program: Command): void {
  const funnel = program.command('funnel').description('what bots say to customers');
  funnel
    .command('simulate <file>')
    .description('prints a walk through the funnels of a catalog file; nothing is sent or needed')
    .option('--funnel <id>', 'only this one')
    .option('--walk <acts>', 'e.g. "start; press Comprar; wait 10m; pay"')
    .option('--at <time>', 'when it begins, ISO 8601', '2026-01-15T15:00:00.000Z')
    .option('--json')
    .action(simulate);
}

interface SimulateOptions {
  readonly funnel?: string;
  readonly walk?: string;
  readonly at: string;
  readonly json?: boolean;
}

const pixExpiryMinutes = 30;

function simulate(fileName: string, { funnel: id, walk, at, json }: SimulateOptions): void {
  if (Number.isNaN(Date.parse(at)))
    misuse(`--at ${at} is no time; write e.g. 2026-01-15T15:00:00Z`);
  const text = readFileSync(fileName, 'utf8');
  const { drafts } = parseCatalogYaml({ text, fileName, environment: secretsLeftOut });
  const items = <K extends CatalogFile['drafts'][number]['kind']>(kind: K) =>
    drafts.flatMap((draft) => (draft.kind === kind ? [draft.data as DataOf<K>] : []));
  const funnels = items('funnel').filter((item) => id === undefined || item.id === id);
  if (funnels.length === 0)
    misuse(id === undefined ? 'There is no funnel.' : `There is no funnel "${id}".`);
  for (const { id: funnelId, ...rest } of funnels) {
    const funnel = { ...rest, key: '1', funnelId, version: 1 };
    const startsAt = new Date(at).toISOString();
    const deliveryUrl = 'https://…/delivery';
    const options = { funnel, products: items('product'), startsAt, pixExpiryMinutes, deliveryUrl };
    print(options, walk, json);
  }
}

type DataOf<K> = Extract<CatalogFile['drafts'][number], { kind: K }>['data'];

/** A walk needs no secrets, so no variable of the file has to be set. */
const secretsLeftOut: Environment = new Proxy({}, { get: () => 'http://left.out' });

function print(options: SimulationOptions, walk: string | undefined, json = false): void {
  const { funnel } = options;
  const simulation = new Simulation(options);
  let failure: SimulationError | undefined;
  try {
    const acts = walk === undefined ? defaultWalk(funnel, pixExpiryMinutes) : parseWalk(walk);
    for (const act of acts) simulation.act(act);
  } catch (error) {
    if (!(error instanceof SimulationError)) throw error;
    failure = error;
  }
  if (json) printJson({ funnel: funnel.funnelId, lines: simulation.lines });
  else say(`Funil ${funnel.funnelId}\n\n${simulationText(simulation.lines)}\n`);
  if (failure !== undefined) misuse(failure.message);
}
