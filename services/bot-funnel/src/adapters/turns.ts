/** Lets a few work at the same time; the others wait for their turn, in order. */
export interface Turns {
  /** Resolves once there is room; disposing of the turn makes room for the next. */
  take(): Promise<Disposable>;
}

export function createTurns(atOnce: number): Turns {
  const waiting: (() => void)[] = [];
  let free = atOnce;
  const turn: Disposable = {
    [Symbol.dispose]: () => {
      const next = waiting.shift();
      if (next === undefined) free += 1;
      else next();
    },
  };
  return {
    async take() {
      if (free > 0) free -= 1;
      else await new Promise<void>((resolve) => waiting.push(resolve));
      return turn;
    },
  };
}
