/** `custom_data` of a Conversions API event ("Custom data parameters"). */
import { type Findings, isRecord, plainText } from './findings.ts';

const currencies = new Set(Intl.supportedValuesOf('currency'));
const deliveryCategories = ['in_store', 'curbside', 'home_delivery'];

/** A Purchase demands a value and a currency. */
export function checkCustomData(
  customData: unknown,
  eventName: unknown,
  path: string,
  found: Findings,
): void {
  if (customData !== undefined && customData !== null && !isRecord(customData)) {
    found.fault(path, `custom_data must be an object, at ${path}.`, 2_804_019);
    return;
  }
  const data = isRecord(customData) ? customData : {};
  checkMoney(data, eventName === 'Purchase', path, found);
  checkContents(data['contents'], path, found);
  checkOptionalFields(data, path, found);
}

function checkMoney(
  data: Record<string, unknown>,
  isPurchase: boolean,
  path: string,
  found: Findings,
): void {
  const { value, currency } = data;
  const hasValue = value !== undefined && value !== null && value !== '';
  const hasCurrency = currency !== undefined && currency !== null && currency !== '';
  if (isPurchase && !hasValue) {
    const wanted = 'A Purchase event must have the parameter value in custom_data.';
    found.fault(`${path}['value']`, wanted, 2_804_009, 'Missing Value for Purchase Event');
  }
  if (isPurchase && !hasCurrency) {
    const wanted = 'A Purchase event must have the parameter currency in custom_data.';
    found.fault(`${path}['currency']`, wanted, 2_804_010, 'Missing Currency for Purchase Event');
  }
  if (hasValue) checkValue(value, path, found);
  if (hasCurrency && !currencies.has(plainText(currency).toUpperCase())) {
    const wanted = 'currency must be an ISO 4217 code such as BRL.';
    found.fault(`${path}['currency']`, wanted, 2_804_019);
  }
}

function checkValue(value: unknown, path: string, found: Findings): void {
  const isText = typeof value === 'string';
  const amount = isText ? Number(value) : value;
  if (typeof amount !== 'number' || !Number.isFinite(amount) || amount < 0) {
    found.fault(`${path}['value']`, 'value must be a number that is not negative.', 2_804_019);
    return;
  }
  if (isText) found.warn('custom_data.value is a string; Meta documents a number.');
}

function checkContents(contents: unknown, path: string, found: Findings): void {
  if (contents === undefined || contents === null) return;
  if (!Array.isArray(contents)) {
    found.fault(`${path}['contents']`, 'contents must be a list of objects.', 2_804_019);
    return;
  }
  contents.forEach((item: unknown, index) => {
    const at = `${path}['contents'][${index}]`;
    if (!isRecord(item)) {
      found.fault(at, 'Each of contents must be an object.', 2_804_019);
      return;
    }
    if (!isIdentifier(item['id'])) found.fault(at, 'Each of contents needs an id.', 2_804_019);
    for (const key of ['quantity', 'item_price']) {
      if (item[key] !== undefined && typeof item[key] !== 'number') {
        found.fault(`${at}['${key}']`, `${key} must be a number.`, 2_804_019);
      }
    }
    const category = item['delivery_category'];
    if (category !== undefined && !deliveryCategories.includes(plainText(category))) {
      const wanted = `delivery_category must be one of ${deliveryCategories.join(', ')}.`;
      found.fault(`${at}['delivery_category']`, wanted, 2_804_019);
    }
  });
}

function isIdentifier(value: unknown): boolean {
  return (typeof value === 'string' && value !== '') || typeof value === 'number';
}

function checkOptionalFields(data: Record<string, unknown>, path: string, found: Findings): void {
  const ids = data['content_ids'];
  if (ids !== undefined && (!Array.isArray(ids) || !ids.every(isIdentifier))) {
    found.fault(`${path}['content_ids']`, 'content_ids must be a list of ids.', 2_804_019);
  }
  const orderId = data['order_id'];
  if (orderId !== undefined && typeof orderId !== 'string') {
    found.fault(`${path}['order_id']`, 'order_id must be a string.', 2_804_019);
  }
  const type = data['content_type'];
  if (type !== undefined && type !== 'product' && type !== 'product_group') {
    found.warn('custom_data.content_type should be product or product_group.');
  }
  for (const [key, value] of Object.entries(data)) {
    if (key !== 'contents' && isRecord(value)) {
      found.warn(`custom_data.${key} is an object; only plain values are documented.`);
    }
  }
}
