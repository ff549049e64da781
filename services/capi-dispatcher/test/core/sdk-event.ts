/** The same facts, told with Meta's own SDK: what our events are compared with. */
import { centsToDecimal } from '@rastro/events';
import {
  Content,
  CustomData,
  ServerEvent as SdkEvent,
  UserData as SdkUserData,
} from 'facebook-nodejs-business-sdk';
import type { Candidates } from '../../src/core/user-data.ts';

/** As somebody would write it who uses the SDK: it is given what is known, as it is known. */
export function sdkUserData(facts: Candidates): SdkUserData {
  const list = (values: unknown): string[] =>
    [values].flat().filter((value) => typeof value === 'string' && value !== '') as string[];
  const setters: Record<keyof Candidates, (data: SdkUserData, values: string[]) => void> = {
    em: (data, values) => data.setEmails(values),
    ph: (data, values) => data.setPhones(values),
    fn: (data, values) => data.setFirstNames(values),
    ln: (data, values) => data.setLastNames(values),
    db: (data, values) => data.setDatesOfBirth(values),
    ge: (data, values) => data.setGenders(values),
    ct: (data, values) => data.setCities(values),
    st: (data, values) => data.setStates(values),
    zp: (data, values) => data.setZips(values),
    country: (data, values) => data.setCountries(values),
    external_id: (data, values) => data.setExternalIds(values),
    client_ip_address: (data, [value = '']) => data.setClientIpAddress(value),
    client_user_agent: (data, [value = '']) => data.setClientUserAgent(value),
    fbc: (data, [value = '']) => data.setFbc(value),
    fbp: (data, [value = '']) => data.setFbp(value),
  };
  const data = new SdkUserData();
  for (const [key, values] of Object.entries(facts)) {
    const given = list(values);
    if (given.length > 0) setters[key as keyof Candidates](data, given);
  }
  return data;
}

export interface Facts {
  readonly name: 'PageView' | 'Purchase';
  readonly id: string;
  readonly seconds: number;
  readonly url: string;
  readonly user: Candidates;
  readonly sale?: {
    readonly currency: string;
    readonly amountCents: number;
    readonly productId: string;
    readonly productName: string;
    readonly paymentId: string;
  };
}

export function sdkEvent({ name, id, seconds, url, user, sale }: Facts): SdkEvent {
  const event = new SdkEvent()
    .setEventName(name)
    .setEventTime(seconds)
    .setEventId(id)
    .setActionSource('website')
    .setEventSourceUrl(url)
    .setUserData(sdkUserData(user))
    .setDataProcessingOptions([]);
  if (!sale) return event;
  const price = Number(centsToDecimal(sale.amountCents));
  const content = new Content().setId(sale.productId).setQuantity(1).setItemPrice(price);
  return event.setCustomData(
    new CustomData()
      .setCurrency(sale.currency)
      .setValue(price)
      .setContentIds([sale.productId])
      .setContentName(sale.productName)
      .setContentType('product')
      .setContents([content])
      .setOrderId(sale.paymentId),
  );
}
