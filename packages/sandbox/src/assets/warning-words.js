/** The stand-in's warnings, in the page's language; an unknown one is shown as it came. */
const words = [
  [/^(\w+) differs between/, (found) => `${found[1]} é diferente no navegador e no servidor.`],
  [/^Without event_id/, () => 'Sem event_id não há como juntar com a cópia do navegador.'],
  [/has no eventID/, () => 'A chamada do Pixel veio sem eventID: não há como deduplicar.'],
  [/^No such pixel/, () => 'Este pixel não existe aqui.'],
  [/^Purchase without value/, () => 'Purchase sem value ou currency.'],
  [
    /not a public address/,
    () => 'client_ip_address não é um endereço público: não casa com ninguém.',
  ],
  [
    /should have event_source_url/,
    () => 'Evento de site sem event_source_url (a documentação exige).',
  ],
  [
    /should have client_user_agent/,
    () => 'Evento de site sem client_user_agent (a documentação exige).',
  ],
  [/^Sent 24 h/, () => 'Enviado 24 h ou mais depois de acontecer.'],
  [/^Sent more than 2 h/, () => 'Enviado mais de 2 h depois de acontecer.'],
  [/t\.me link/, () => 'O endereço é um link t.me; devia ser uma página do domínio verificado.'],
  [/^external_id is not hashed/, () => 'external_id sem hash (a Meta recomenda SHA-256).'],
  [/^fbc is older/, () => 'fbc com mais de 90 dias.'],
  [/modified fbclid/, () => 'O fbclid dentro de fbc não é o mesmo de event_source_url.'],
  [/is the hash of nothing/, () => 'Um campo de user_data é o hash de um texto vazio.'],
  [/value is a string/, () => 'custom_data.value veio como texto; devia ser número.'],
];

export function inPortuguese(warning) {
  for (const [pattern, say] of words) {
    const found = pattern.exec(warning);
    if (found !== null) return say(found);
  }
  return warning;
}
