/**
 * What Meta is known to complain of, said before it does: Events Manager shows most of these days
 * later, as a share of all events, and not for which.
 * @see Meta, "Best practices" and the diagnostics of the Dataset Quality API
 */
import type { ServerEvent } from './server-event.ts';

export interface Complaint {
  /** Stable, for filters and counts. */
  readonly code: 'missing_user_agent';
  /** For people: what is wrong and what it costs. */
  readonly detail: string;
}

export function lint(event: ServerEvent): Complaint[] {
  const complaints: Complaint[] = [];
  if (event.user_data.client_user_agent === undefined) {
    const detail = 'A website event should say which browser it was: Meta matches fewer people.';
    complaints.push({ code: 'missing_user_agent', detail });
  }
  return complaints;
}
