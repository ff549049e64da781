/**
 * The same PageViews as users of Meta's own SDK send them: a call each, awaited, nothing kept. In a
 * process of its own, since the SDK takes uncaught errors for its crashes.
 * `node test/bench/meta-sdk.ts GRAPH_URL COUNT IN_FLIGHT` prints events a second.
 */
import { sampleSecrets } from '@rastro/testing';
import { EventRequest, FacebookAdsApi, ServerEvent, UserData } from 'facebook-nodejs-business-sdk';
import { clickOf, pixelId } from './clicks-and-payments.ts';

const warmUp = 1_000;
const [graphUrl = '', count = '', inFlight = ''] = process.argv.slice(2);
// Its address is not meant to be changed; there is no setting for it.
Object.defineProperties(FacebookAdsApi, {
  GRAPH: { value: graphUrl },
  VERSION: { value: 'v26.0' },
});
const clickedAt = new Date(Date.now() - 60_000);

async function sendAll(total: number): Promise<void> {
  let left = total;
  const work = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await sendOne();
    }
  };
  await Promise.all(Array.from({ length: Number(inFlight) }, work));
}

async function sendOne(): Promise<void> {
  const { data } = clickOf(clickedAt);
  const user = new UserData()
    .setClientIpAddress(data.clientIp ?? '')
    .setClientUserAgent(data.userAgent ?? '')
    .setFbc(data.fbc ?? '')
    .setFbp(data.fbp ?? '')
    .setExternalIds([...data.externalIds]);
  const event = new ServerEvent()
    .setEventName('PageView')
    .setEventTime(Math.floor(clickedAt.getTime() / 1_000))
    .setEventId(data.rootEventId)
    .setActionSource('website')
    .setEventSourceUrl(data.landingUrl)
    .setUserData(user);
  const { accessToken } = sampleSecrets;
  const response = await new EventRequest(accessToken, pixelId, [event]).execute();
  if (response.events_received !== 1) throw new Error('the SDK was refused');
}

try {
  await sendAll(warmUp);
  const startedMs = performance.now();
  await sendAll(Number(count));
  process.stdout.write(`${Number(count) / ((performance.now() - startedMs) / 1_000)}\n`);
} catch (error) {
  process.stderr.write(`${(error as Error).stack}\n`);
  process.exit(1);
}
