/**
 * capi-dispatcher as a process of its own, at a pace that lets a test see every wait of it end:
 * the production pace waits 15 s for a lease and an hour for a refused token.
 */
import { readConfig } from '@rastro/capi-dispatcher/config';
import { startService } from '@rastro/capi-dispatcher/service';
import { type Environment, runService } from '@rastro/runtime';
import { briskPace } from './brisk-pace.ts';

await runService(
  {
    name: 'capi-dispatcher',
    readConfig(environment: Environment) {
      const config = readConfig(environment);
      return { ...config, pace: { ...config.pace, ...briskPace } };
    },
    startService,
  },
  process.env,
);
