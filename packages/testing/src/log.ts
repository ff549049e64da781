import { createLogger, type Logger } from '@rastro/runtime';

/** Silent; `RASTRO_TEST_LOG=debug` shows what the service under test says. */
export function testLog(): Logger {
  return createLogger({ level: process.env['RASTRO_TEST_LOG'] ?? 'silent' });
}
