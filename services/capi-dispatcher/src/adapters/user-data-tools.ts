/** What core/user-data.ts needs of the world's tables, and of Node. */
import countries from 'i18n-iso-countries/index.js';
import english from 'i18n-iso-countries/langs/en.json' with { type: 'json' };
import portuguese from 'i18n-iso-countries/langs/pt.json' with { type: 'json' };
import {
  type CountryCode,
  isSupportedCountry,
  parsePhoneNumberFromString,
} from 'libphonenumber-js/max';
import { publicIp, sha256Hex } from '@rastro/runtime';
import type { UserDataTools } from '../core/user-data.ts';

const languages = [portuguese, english];
for (const language of languages) countries.registerLocale(language);

/** What people write and no table has. */
const everydayNames: ReadonlyMap<string, string> = new Map([
  ['eua', 'us'],
  ['uk', 'gb'],
  ['inglaterra', 'gb'],
  ['holanda', 'nl'],
]);

export const userDataTools: UserDataTools = { sha256Hex, publicIp, phoneDigits, countryCode };

/**
 * Without a plus sign a number is first read as one of the country, and where it is none, with a
 * country code in front, which is how Meta writes it.
 */
function phoneDigits(text: string, country: string): string | null {
  const region = country.toUpperCase();
  const national = parse(text, isSupportedCountry(region) ? region : undefined);
  return national ?? parse(`+${text.replaceAll(/\D/g, '').replace(/^0+/, '')}`);
}

function parse(text: string, region?: CountryCode): string | null {
  const phone = parsePhoneNumberFromString(text, region);
  return phone?.isValid() ? phone.number.slice(1) : null;
}

function countryCode(text: string): string | null {
  const name = text.trim();
  const code = name.toUpperCase();
  if (code.length === 2 && countries.isValid(code)) return code.toLowerCase();
  const found =
    everydayNames.get(name.toLowerCase()) ??
    countries.alpha3ToAlpha2(code) ??
    languages
      .map(({ locale }) => countries.getSimpleAlpha2Code(name, locale))
      .find((alpha2) => alpha2 !== undefined);
  return found?.toLowerCase() ?? null;
}
