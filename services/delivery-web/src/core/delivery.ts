/** Aggregate: the delivery of one paid order, issued once and opened any number of times. */
import type { DataOf, EventBody } from '@rastro/events';

export type DeliveryEvent = EventBody<'DeliveryIssued' | 'DeliveryViewed'>;

export type DeliveryState =
  | { readonly status: 'none' }
  | { readonly status: 'issued'; readonly lastViewedAt: string | null };

export const initialState: DeliveryState = { status: 'none' };

export function evolve(state: DeliveryState, event: DeliveryEvent): DeliveryState {
  switch (event.type) {
    case 'DeliveryIssued':
      return { status: 'issued', lastViewedAt: null };
    case 'DeliveryViewed':
      return state.status === 'issued' ? { ...state, lastViewedAt: event.data.viewedAt } : state;
  }
}

/** Openings within this time after a recorded one are not recorded: they tell nothing new. */
export const viewPauseMs = 3_600_000;

export type DeliveryCommand =
  | { readonly type: 'IssueDelivery'; readonly delivery: DataOf<'DeliveryIssued'> }
  | {
      readonly type: 'RecordView';
      readonly view: DataOf<'DeliveryViewed'>;
      /** `viewedAt` less {@link viewPauseMs}, ISO 8601. */
      readonly pauseBegan: string;
    };

export function decide(state: DeliveryState, command: DeliveryCommand): DeliveryEvent[] {
  switch (command.type) {
    case 'IssueDelivery':
      return state.status === 'none' ? [{ type: 'DeliveryIssued', data: command.delivery }] : [];
    case 'RecordView': {
      if (state.status === 'none') return [];
      const { lastViewedAt } = state;
      if (lastViewedAt !== null && lastViewedAt > command.pauseBegan) return [];
      return [{ type: 'DeliveryViewed', data: command.view }];
    }
  }
}
