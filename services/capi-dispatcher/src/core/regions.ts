/**
 * States by name, as people write them, folded: lower case, a–z alone. Meta wants the two letters
 * of a US state, and for Brazil nothing is as unambiguous as the UF.
 * @see IBGE, "Códigos das unidades da federação"; USPS Publication 28, appendix B
 */
const ufs = {
  acre: 'ac',
  alagoas: 'al',
  amapa: 'ap',
  amazonas: 'am',
  bahia: 'ba',
  ceara: 'ce',
  distritofederal: 'df',
  espiritosanto: 'es',
  goias: 'go',
  maranhao: 'ma',
  matogrosso: 'mt',
  matogrossodosul: 'ms',
  minasgerais: 'mg',
  para: 'pa',
  paraiba: 'pb',
  parana: 'pr',
  pernambuco: 'pe',
  piaui: 'pi',
  riodejaneiro: 'rj',
  riograndedonorte: 'rn',
  riograndedosul: 'rs',
  rondonia: 'ro',
  roraima: 'rr',
  santacatarina: 'sc',
  saopaulo: 'sp',
  sergipe: 'se',
  tocantins: 'to',
};

const usStates = {
  alabama: 'al',
  alaska: 'ak',
  arizona: 'az',
  arkansas: 'ar',
  california: 'ca',
  colorado: 'co',
  connecticut: 'ct',
  delaware: 'de',
  districtofcolumbia: 'dc',
  florida: 'fl',
  georgia: 'ga',
  hawaii: 'hi',
  idaho: 'id',
  illinois: 'il',
  indiana: 'in',
  iowa: 'ia',
  kansas: 'ks',
  kentucky: 'ky',
  louisiana: 'la',
  maine: 'me',
  maryland: 'md',
  massachusetts: 'ma',
  michigan: 'mi',
  minnesota: 'mn',
  mississippi: 'ms',
  missouri: 'mo',
  montana: 'mt',
  nebraska: 'ne',
  nevada: 'nv',
  newhampshire: 'nh',
  newjersey: 'nj',
  newmexico: 'nm',
  newyork: 'ny',
  northcarolina: 'nc',
  northdakota: 'nd',
  ohio: 'oh',
  oklahoma: 'ok',
  oregon: 'or',
  pennsylvania: 'pa',
  rhodeisland: 'ri',
  southcarolina: 'sc',
  southdakota: 'sd',
  tennessee: 'tn',
  texas: 'tx',
  utah: 'ut',
  vermont: 'vt',
  virginia: 'va',
  washington: 'wa',
  westvirginia: 'wv',
  wisconsin: 'wi',
  wyoming: 'wy',
};

const byCountry = new Map([
  ['br', new Map(Object.entries(ufs))],
  ['us', new Map(Object.entries(usStates))],
]);

/**
 * The two letters of a state of Brazil or the USA; null for what is neither.
 * @param name folded.
 * @param country ISO 3166-1 alpha-2, lower case; null where it is not known. No two names of both
 * countries are the same, but Mexico's Distrito Federal is not Brazil's.
 */
export function stateCode(name: string, country: string | null): string | null {
  const tables = country === null ? [...byCountry.values()] : [byCountry.get(country)];
  return tables.map((states) => states?.get(name)).find((code) => code !== undefined) ?? null;
}
