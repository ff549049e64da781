import { runService } from '@rastro/runtime';
import { readConfig } from './config.ts';
import { startService } from './service.ts';

await runService({ name: 'capi-dispatcher', readConfig, startService }, process.env);
