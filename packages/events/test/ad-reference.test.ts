/**
 * Goal: the ad's names and ids are read from a link as Meta fills it in, and nothing is taken for
 * a name or an id that is none.
 * Method: a table of links as people write them; then any name with any id, put together as the
 * macros do.
 */
import fc from 'fast-check';
import t from 'tap';
import { adReferenceOf, decoder, eventDefinitions } from '../src/index.ts';

const none = { campaign: null, medium: null, content: null, term: null };
const campaignOf = (campaign: string | null) => adReferenceOf({ ...none, campaign }).campaign;
const id = '120330000000000001';

await t.test('name|id, as links have it', async (t) => {
  const cases: [string | null, string | null, string | null][] = [
    [`Campanha|${id}`, 'Campanha', id],
    [`Julho | Mulheres | 25-34|${id}`, 'Julho | Mulheres | 25-34', id],
    [`Julho||${id}`, 'Julho|', id],
    [`Com espaços | ${id} `, 'Com espaços', id],
    [`|${id}`, null, id],
    ['Só o nome', 'Só o nome', null],
    ['Julho|Mulheres', 'Julho|Mulheres', null],
    ['Julho|', 'Julho|', null],
    [id, id, null],
    [`Julho|${id}a`, `Julho|${id}a`, null],
    [`Julho|${'1'.repeat(33)}`, `Julho|${'1'.repeat(33)}`, null],
    ['Julho|１２３', 'Julho|１２３', null],
    ['{{campaign.name}}|{{campaign.id}}', null, null],
    [`{{campaign.name}}|${id}`, null, id],
    ['Julho|{{campaign.id}}', 'Julho', null],
    ['{{campaign.name}}', null, null],
    ['a {{ }} b', null, null],
    ['{Julho}', '{Julho}', null],
    ['|', '|', null],
    ['  ', null, null],
    ['', null, null],
    [null, null, null],
  ];
  for (const [value, name, campaignId] of cases)
    t.same(campaignOf(value), { name, id: campaignId }, String(value));
});

await t.test('each parameter has its level', async (t) => {
  const link = { campaign: 'C|1', medium: 'S|2', content: 'A|3', term: 'Instagram_Stories' };
  t.same(adReferenceOf(link), {
    campaign: { name: 'C', id: '1' },
    adset: { name: 'S', id: '2' },
    ad: { name: 'A', id: '3' },
    placement: 'Instagram_Stories',
  });
  t.equal(adReferenceOf({ ...none, term: '{{placement}}' }).placement, null);
});

await t.test('any name and id come back as they were; any text fits the schema', async (t) => {
  const word = fc
    .string({ unit: 'grapheme', maxLength: 400 })
    .map((text) => text.trim())
    .filter((text) => text !== '' && !text.includes('{{'));
  const name = fc.oneof(
    word,
    fc.array(word, { minLength: 1, maxLength: 3 }).map((words) => words.join('|')),
  );
  const digits = fc.stringMatching(/^[0-9]{1,32}$/);
  fc.assert(
    fc.property(name, digits, (written, number) => {
      const read = campaignOf(`${written}|${number}`);
      return read.name === written && read.id === number;
    }),
    { numRuns: 1_000 },
  );
  const decode = decoder(eventDefinitions.ClickTracked.data.properties.ad);
  const any = fc.option(fc.string({ unit: 'binary', maxLength: 512 }));
  const link = fc.record({ campaign: any, medium: any, content: any, term: any });
  fc.assert(fc.property(link, (parameters) => decode(adReferenceOf(parameters)).ok));
  t.pass('held');
});
