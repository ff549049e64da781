import { runService } from '@rastro/runtime';
import { readConfig } from './config.ts';
import { startService } from './service.ts';

await runService({ name: 'payment-confirmer', readConfig, startService }, process.env);
