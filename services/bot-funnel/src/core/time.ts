/** Times that arrive as ISO 8601 text, reckoned with. */
/* oxlint-disable no-restricted-globals -- these read times that are given; no clock is asked */

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
