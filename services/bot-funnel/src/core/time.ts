/** Times that arrive as ISO 8601 text, reckoned with. */
/* oxlint-disable no-restricted-globals -- these read times that are given; no clock is asked */

/** @param ms may be negative */
export function later(iso: string, ms: number): string {
  return new Date(Date.parse(iso) + ms).toISOString();
}

/** What a clock that runs so many minutes ahead of UTC shows: minutes since midnight, and the rest. */
export function minuteOfDay(
  iso: string,
  utcOffsetMinutes: number,
): { minute: number; msOfMinute: number } {
  const local = new Date(Date.parse(iso) + utcOffsetMinutes * 60_000);
  return {
    minute: local.getUTCHours() * 60 + local.getUTCMinutes(),
    msOfMinute: local.getUTCSeconds() * 1_000 + local.getUTCMilliseconds(),
  };
}

const brazil = new Intl.DateTimeFormat('pt-BR', {
  timeZone: 'America/Sao_Paulo',
  day: '2-digit',
  month: '2-digit',
  hour: '2-digit',
  minute: '2-digit',
});

/** e.g. `20/11 às 23:30` */
export function brazilTime(iso: string): string {
  return brazil.format(new Date(iso)).replace(', ', ' às ');
}
