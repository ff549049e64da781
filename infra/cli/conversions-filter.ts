/** The filters that all of `rastro conversions` share. */
import {
  conversionStates,
  eventNames,
  keyOf,
  type LedgerFilter,
} from '@rastro/capi-dispatcher/ledger-filter';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { moment } from './moment.ts';
import { misuse } from './output.ts';

export interface FilterOptions extends LedgerFilter {
  readonly limit?: number;
}

export function addFilterOptions(command: Command): Command {
  return command
    .option('--workspace <id>', 'only of this workspace')
    .option('--pixel <id>', 'only of this pixel')
    .option('--pool <id>', 'only of this pool')
    .addOption(new Option('--event <name>', 'only of this kind').choices(eventNames))
    .addOption(new Option('--state <state...>', 'only in these states').choices(conversionStates))
    .option('--code <number>', "of Meta's last answer", whole)
    .option('--subcode <number>', "of Meta's last answer", whole)
    .option('--reason <text>', 'why it was skipped or refused, or a part of that')
    .option('--complaint <code>', 'foreseen about the event, e.g. missing_user_agent')
    .option('--since <when>', 'taken up from then on: 12h, 7d, or a time', moment)
    .option('--until <when>', 'taken up before then', moment)
    .option('--token <tracking token>', 'of this click', keyed('token', '32 hex digits'))
    .option('--payment <id>', 'of this payment', keyed('uuid', 'a UUID'))
    .option(
      '--event-id <id>',
      'this event',
      keyed('event', 'evt_<tracking token> or purchase_<payment id>'),
    )
    .option('--limit <number>', 'the newest that many', positive);
}

/** @throws {CommanderError} when the two moments are in the wrong order. */
export function filterOf({ limit: _aside, ...filter }: FilterOptions): LedgerFilter {
  const { since, until } = filter;
  if (since && until && until <= since) misuse('--until is not after --since');
  const { workspace, pixel, pool, event, state, code, subcode, reason, complaint } = filter;
  const { token, payment, eventId } = filter;
  const about = { workspace, pixel, pool, event, state, code, subcode, reason, complaint };
  return { ...about, since, until, token, payment, eventId };
}

export function isEmpty(filter: LedgerFilter): boolean {
  return Object.values(filter).every((value) => value === undefined);
}

/** @throws {InvalidArgumentError} for an id of another kind: it would find nothing, silently. */
function keyed(kind: 'token' | 'uuid' | 'event', form: string) {
  return (text: string): string => {
    if (keyOf(text)?.kind === kind) return text;
    throw new InvalidArgumentError(`write ${form}`);
  };
}

function whole(text: string): number {
  if (/^-?\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('write a whole number');
}

function positive(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('write a whole number from 1 on');
}
