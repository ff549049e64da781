import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { asyncApiDocument } from '@rastro/events';
import type { Command } from 'commander';
import { stringify } from 'yaml';
import { repository } from '../../services.ts';
import { say } from '../output.ts';

/** The document as it stands in the repository. */
export const asyncApiFile = join(repository, 'docs/asyncapi.yaml');

export function asyncApiYaml(): string {
  const head =
    '# Generated from packages/events by `pnpm docs:asyncapi`; a test fails when it is stale.\n';
  return head + stringify(asyncApiDocument(), { aliasDuplicateObjects: false, lineWidth: 0 });
}

export function addAsyncApiCommand(program: Command): void {
  program
    .command('asyncapi')
    .description('prints the AsyncAPI document of all events and requests')
    .option('--write', 'into docs/asyncapi.yaml instead')
    .action(({ write }: { write?: boolean }) => {
      if (!write) return say(asyncApiYaml());
      return writeFileSync(asyncApiFile, asyncApiYaml());
    });
}
