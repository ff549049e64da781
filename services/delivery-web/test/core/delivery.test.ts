/**
 * Goal: a payment has one delivery, and openings are recorded without end but not without bound.
 * Method: given events, when a command, these are decided; as the event store would replay them.
 */
import { sampleEvent, specification } from '@rastro/testing';
import t from 'tap';
import { decide, type DeliveryEvent, evolve, initialState } from '../../src/core/delivery.ts';

const { given } = specification({ decide, evolve, initialState });

const delivery = sampleEvent('DeliveryIssued').data;
const issued: DeliveryEvent = { type: 'DeliveryIssued', data: delivery };
const sample = sampleEvent('DeliveryViewed').data;
const viewed = (viewedAt: string): DeliveryEvent => ({
  type: 'DeliveryViewed',
  data: { ...sample, viewedAt },
});
const recordView = (viewedAt: string, pauseBegan: string) =>
  ({ type: 'RecordView', view: { ...sample, viewedAt }, pauseBegan }) as const;

await t.test('the first payment gets a delivery, every further one nothing', async (t) => {
  t.same(given().when({ type: 'IssueDelivery', delivery }).decided, [issued]);
  t.same(given(issued).when({ type: 'IssueDelivery', delivery }).decided, []);
  t.same(
    given(issued, viewed('2026-11-20T12:00:00.000Z')).when({ type: 'IssueDelivery', delivery })
      .decided,
    [],
  );
});

await t.test('openings count once an hour', async (t) => {
  const first = viewed('2026-11-20T12:00:00.000Z');
  const hourLater = recordView('2026-11-20T13:00:00.000Z', '2026-11-20T12:00:00.000Z');
  const sooner = recordView('2026-11-20T12:59:59.999Z', '2026-11-20T11:59:59.999Z');
  t.same(given(issued).when(sooner).decided, [viewed('2026-11-20T12:59:59.999Z')]);
  t.same(given(issued, first).when(sooner).decided, []);
  t.same(given(issued, first).when(hourLater).decided, [viewed('2026-11-20T13:00:00.000Z')]);
  t.same(given().when(hourLater).decided, []);
});
