/**
 * Goal: each kind of customer information is hashed in the one spelling that Meta knows, and what
 * cannot be read is left out, for Brazil above all.
 * Method: Meta's published vectors, the inputs on which libraries disagree, and properties.
 */
import { sha256Hex } from '@rastro/runtime';
import fc from 'fast-check';
import t from 'tap';
import { userDataTools as tools } from '../../src/adapters/user-data-tools.ts';
import {
  type CustomerKey,
  hashedCustomer,
  normalised,
} from '../../src/core/customer-information.ts';
import { hasMatchKeys, userData } from '../../src/core/user-data.ts';

const read = (key: CustomerKey, text: string, country: string | null = null): string[] =>
  normalised(key, text, { tools, country });

await t.test('vectors: what is hashed, and its hash', async (t) => {
  // Of Meta's documentation, its parameter builder, and Segment's tests.
  const vectors: [CustomerKey, string, string, string, string?][] = [
    [
      'em',
      'John_Smith@gmail.com',
      'john_smith@gmail.com',
      '62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f',
    ],
    [
      'ph',
      '(650)555-1212',
      '16505551212',
      'e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176',
      'us',
    ],
    ['fn', 'Mary', 'mary', '6915771be1c5aa0c886870b6951b03d7eafc121fea0e80a5ea83beb7c449f4ec'],
    [
      'ln',
      'da Silva Jr.',
      'dasilvajr',
      'b2c723c54e17fe0126a8d5ca99de11ac44321998145a4183f03c311a7a1b898a',
    ],
    [
      'db',
      '2/16/1997',
      '19970216',
      '01acdbf6ec7b4f478a225f1a246e5d6767eeab1a7ffa17f025265b5b94f40f0c',
    ],
    ['ge', 'Male', 'm', '62c66a7a5dd70c3146618063c344e531e6d4b59e379808443ce962b3abd63c5a'],
    [
      'ct',
      'New York',
      'newyork',
      '350c754ba4d38897693aa077ef43072a859d23f613443133fecbbd90a3512ca5',
    ],
    ['st', 'California', 'ca', '6959097001d10501ac7d54c0bdb8db61420f658f2922cc26e46d536119a31126'],
    [
      'zp',
      '94035-1234',
      '94035',
      '1794327a4d443904421f5ca1f3d72d0a62ba2f0770d80755ec2220fc0efb052e',
    ],
    [
      'country',
      'United States',
      'us',
      '79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621',
    ],
    [
      'external_id',
      '123',
      '123',
      'a665a45920422f9d417e4867efdc4fb8a04a1f3fff1fa07e998e86f7f7a27ae3',
    ],
    ['fn', 'test', 'test', '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08'],
  ];
  for (const [key, text, spelling, hash, country = null] of vectors) {
    t.strictSame(read(key, text, country), [spelling], `${key} ${text}`);
    t.equal(hashedCustomer({ country, [key]: text }, tools)[key]?.[0], hash, spelling);
  }
});

await t.test('where libraries disagree: the spelling that we chose', async (t) => {
  const chosen: [CustomerKey, string, string[]][] = [
    ['fn', ' José Carlos ', ['josécarlos']],
    ['fn', "D'Angelo-Silva", ['dangelosilva']],
    ['ct', 'São Paulo', ['saopaulo', 'sãopaulo']],
    ['st', 'São Paulo', ['sp']],
    ['st', 'Minas Gerais', ['mg']],
    ['zp', '01310-100', ['01310100']],
    ['country', 'Brazil', ['br']],
    ['country', 'Estados Unidos', ['us']],
    ['em', 'not-an-email', []],
    ['ph', '+55 (11) 91234-5678', ['5511912345678']],
  ];
  for (const [key, text, spellings] of chosen) {
    t.strictSame(read(key, text), spellings, `${key} ${text}`);
  }
});

await t.test('what is no value is left out, whatever else there is', async (t) => {
  const rejected: [CustomerKey, unknown[]][] = [
    [
      'em',
      ['not-an-email', 'João@exemplo.com.br', 'a@b', 'a b@example.com', `${'a'.repeat(65)}@x.io`],
    ],
    ['ph', ['abc', '912345678', '(11) 1234', '20 91234-5678', '1'.repeat(40)]],
    ['fn', ['…', '🦜']],
    ['db', ['31/02/1997', '29/02/1900', '1899-12-31', '19970431', '1997-13-01', '97-02-16']],
    ['ge', ['other', 'masculino', 'constructor']],
    ['st', ['—']],
    ['zp', ['-', 'ç1']],
    ['country', ['Atlantis', 'zz', 'xyz', 'constructor']],
  ];
  const noText = ['', '  ', null, undefined, 7, {}, [], [null], ['']];
  for (const [key, values] of rejected) {
    for (const value of [...values, ...noText, sha256Hex('x').slice(32)]) {
      const customer = { [key]: value, external_id: 'kept' };
      const expected = { external_id: [sha256Hex('kept')] };
      t.strictSame(hashedCustomer(customer, tools), expected, `${key} ${JSON.stringify(value)}`);
    }
  }
});

await t.test('Brazil: numbers, states, post codes, dates', async (t) => {
  for (const number of [
    '(11) 91234-5678',
    '11912345678',
    '011 91234-5678',
    '0 15 11 91234-5678',
    '5511912345678',
    '+55 11 91234 5678',
    '0055 11 91234-5678',
  ]) {
    t.strictSame(read('ph', number), ['5511912345678'], number);
  }
  t.strictSame(read('ph', '(11) 3333-4444'), ['551133334444'], 'a landline has ten digits');
  t.strictSame(read('ph', '55 99123-4567'), ['5555991234567'], '55 is also a DDD');
  t.strictSame(read('ph', '16505551212'), ['16505551212'], 'no number of Brazil');
  t.strictSame(read('ph', '00351 912 345 678'), ['351912345678']);
  for (const state of ['Pará', 'PARA', 'pa', 'BR-PA']) t.strictSame(read('st', state), ['pa']);
  t.strictSame(read('st', 'Distrito Federal'), ['df']);
  t.strictSame(read('st', 'Distrito Federal', 'mx'), ['distritofederal']);
  t.strictSame(read('st', 'Île-de-France', 'fr'), ['iledefrance', 'îledefrance']);
  t.strictSame(read('zp', '01.310-100', 'br'), ['01310100']);
  t.strictSame(read('zp', '1310100', 'br'), [], 'a CEP that lost its zero');
  t.strictSame(read('zp', 'SW1A 1AA', 'gb'), ['sw1a1aa']);
  t.strictSame(read('zp', '940351234', 'us'), ['94035']);
  t.strictSame(read('db', '02/03/1990'), ['19900302'], 'the day comes first');
  t.strictSame(read('db', '1990-3-2'), ['19900302']);
  t.strictSame(read('db', '29.02.2000'), ['20000229']);
  for (const country of ['Brasil', 'BRAZIL', 'bra', 'BR', ' brasil ']) {
    t.strictSame(read('country', country), ['br'], country);
  }
  for (const country of ['EUA', 'USA', 'Estados Unidos da América']) {
    t.strictSame(read('country', country), ['us'], country);
  }
});

await t.test('the composed and the decomposed ã are one letter', async (t) => {
  t.strictSame(read('fn', 'João'.normalize('NFD')), read('fn', 'João'));
  t.strictSame(read('ct', 'São Paulo'.normalize('NFD')), read('ct', 'São Paulo'));
});

await t.test('what is hashed already stays, in lower case; an MD5 does not', async (t) => {
  const hash = sha256Hex('jose@example.com');
  const customer = { em: [hash.toUpperCase(), 'Jose@example.com ', hash], ph: hash.slice(32) };
  t.strictSame(hashedCustomer(customer, tools), { em: [hash] }, 'one person, one hash');
  const id = '5f2b8c1e9d4a4f0b8a7c6d5e4f3a2b1c';
  t.strictSame(hashedCustomer({ external_id: id }, tools), { external_id: [sha256Hex(id)] });
});

await t.test('the country of the customer decides how the rest is read', async (t) => {
  const { ph, zp } = hashedCustomer(
    { country: 'Estados Unidos', ph: '(650) 555-1212', zp: '940351234' },
    tools,
  );
  t.strictSame([ph, zp], [[sha256Hex('16505551212')], [sha256Hex('94035')]]);
});

await t.test('user_data: no unknown key, no wrong or private value, nothing empty', async (t) => {
  const candidates = {
    client_ip_address: ['10.0.0.1', '100.64.1.1', '::ffff:177.10.20.30', '2804:14c::1'],
    client_user_agent: ['', 'Mozilla/5.0'],
    fbc: ['fb.1.1763640000.seconds', 'fb.1.1763640000000.IwAR2-_aem_X.AQQCAQMC'],
    fbp: ['nonsense', 'fb.1.1763640000000.1'],
    em: 'jose@example.com',
    click_id: 'refuses the whole request',
    __proto__: null,
  };
  t.strictSame(userData(candidates, tools), {
    client_ip_address: '2804:14c::1',
    client_user_agent: 'Mozilla/5.0',
    fbc: 'fb.1.1763640000000.IwAR2-_aem_X.AQQCAQMC',
    fbp: 'fb.1.1763640000000.1',
    em: [sha256Hex('jose@example.com')],
  });
  t.equal(
    userData({ client_ip_address: '::ffff:177.10.20.30' }, tools).client_ip_address,
    '177.10.20.30',
  );
  // @ts-expect-error: the compiler knows the keys too.
  t.strictSame(userData({ click_id: 'x' }, tools), {});
});

await t.test('combinations that Meta refuses as too broad', async (t) => {
  const one = ['0'.repeat(64)];
  const userAgent = { client_user_agent: 'Mozilla/5.0' };
  const broad = { ct: one, country: one, st: one, zp: one, ge: one, ...userAgent };
  for (const data of [{}, userAgent, broad, { db: one, ...userAgent }, { fn: one, ge: one }]) {
    t.notOk(hasMatchKeys(data), Object.keys(data).join());
  }
  for (const data of [{ em: one }, { ...broad, ln: one }, { fn: one, ln: one }, { fbp: 'x' }]) {
    t.ok(hasMatchKeys(data), Object.keys(data).join());
  }
});

await t.test(
  'property: any text at all gives hashes alone, and hashing again changes nothing',
  async () => {
    const keys = ['em', 'ph', 'fn', 'ln', 'db', 'ge', 'ct', 'st', 'zp', 'country', 'external_id'];
    const text = fc.oneof(
      fc.string(),
      fc.string({ unit: 'binary' }),
      fc.string({ unit: 'grapheme' }),
    );
    const customer = fc.dictionary(fc.oneof(fc.constantFrom(...keys), text), fc.array(text));
    fc.assert(
      fc.property(customer, (information) => {
        const once = userData(information, tools);
        for (const [key, hashes] of Object.entries(once)) {
          if (!keys.includes(key)) continue;
          if (![hashes].flat().every((hash) => /^[0-9a-f]{64}$/.test(hash))) throw new Error(key);
        }
        const again = userData(once, tools);
        if (JSON.stringify(again) !== JSON.stringify(once)) throw new Error('not idempotent');
      }),
    );
  },
);
