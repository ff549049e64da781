/** Event edge: how the bots are. */
import type { RastroEvent } from '@rastro/events';
import type { HealthReport } from './core/bot-health.ts';

export interface HandlerParts {
  readonly report: (report: HealthReport) => void;
  /** The snapshot is out of date. */
  readonly onChange: () => void;
}

export function handleBotHealth(
  { report, onChange }: HandlerParts,
  event: RastroEvent<'BotHealthChanged'>,
): void {
  report(event.data);
  onChange();
}
