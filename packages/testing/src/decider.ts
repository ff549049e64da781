/** given(events).when(command).expect(events), for any decider. (`then` would make it thenable.) */
import { isDeepStrictEqual } from 'node:util';

export interface Decider<State, Command, Event> {
  readonly initialState: State;
  readonly evolve: (state: State, event: Event) => State;
  readonly decide: (state: State, command: Command) => readonly Event[];
}

export function specification<State, Command, Event>(decider: Decider<State, Command, Event>) {
  return {
    given: (...history: Event[]) => ({
      when: (command: Command) => {
        const state = history.reduce(decider.evolve, decider.initialState);
        const decided = decider.decide(state, command);
        return {
          /** @throws with both sides when something else was decided. */
          expect: (...expected: Event[]): void => {
            if (isDeepStrictEqual(decided, expected)) return;
            throw new Error(
              `expected ${JSON.stringify(expected, null, 2)}\nbut decided ${JSON.stringify(decided, null, 2)}`,
            );
          },
          decided,
        };
      },
    }),
  };
}
