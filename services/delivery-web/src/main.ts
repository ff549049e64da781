import { runService } from '@rastro/runtime';
import { readConfig } from './config.ts';
import { startService } from './service.ts';

await runService({ name: 'delivery-web', readConfig, startService }, process.env);
