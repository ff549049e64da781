/**
 * Goal: `rastro funnel simulate` shows what customers of a catalog file would be told, needs nothing
 * that runs and no secret, and says what it does not understand.
 * Method: the real command on the sandbox's own catalog, read as a person reads it.
 */
import t from 'tap';
import { runRastro } from '../support/rastro-process.ts';

async function simulate(...args: string[]) {
  const rastro = runRastro(
    ['infra/cli/main.ts', 'funnel', 'simulate', 'infra/sandbox/catalog.yaml', ...args],
    {},
  );
  const code = await rastro.exit();
  return { code, output: rastro.output() };
}

await t.test('the walk that is taken where nobody asks for another', async (t) => {
  const { code, output } = await simulate();
  t.equal(code, 0, output);
  const inOrder = [
    '/start',
    'Olá!',
    '▸ Quero o e-book',
    'QR code',
    'O seu PIX ainda está aberto',
    'O seu PIX expirou',
    'paga o PIX',
    'Pagamento confirmado',
    'Acessar agora',
  ];
  t.match(output, new RegExp(inOrder.join('[\\s\\S]*')));
});

await t.test('a walk of one’s own, for programs too', async (t) => {
  const walk = 'start; press O que vem no e-book?; press Quero a mentoria · R$ 97,00';
  const { output } = await simulate('--walk', `${walk}; press Sim, incluir as aulas; pay`);
  t.match(output, /Por mais R\$ 20,00[\s\S]*Valor: R\$ 117,00/);
  const night = await simulate(
    '--json',
    '--walk',
    'start; wait 1h',
    '--at',
    '2026-01-16T02:00:00Z',
  );
  const { lines } = JSON.parse(night.output) as { lines: { from: string; at: string }[] };
  t.equal(lines.filter(({ from }) => from === 'bot').length, 1, 'nobody is woken up');
});

await t.test('what it does not understand', async (t) => {
  const unknown = await simulate('--walk', 'start; press Nada');
  t.equal(unknown.code, 2);
  t.match(unknown.output, /no button "Nada", only "Quero o e-book/);
  t.match(await simulate('--funnel', 'none'), { code: 2, output: /no funnel "none"/ });
  t.match(await simulate('--at', 'yesterday'), { code: 2, output: /is no time/ });
});
