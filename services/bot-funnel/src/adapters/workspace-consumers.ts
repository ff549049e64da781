/** The durable consumers of workspaces whose bots are run by programs of their own. */
import type { Catalog } from '@rastro/messaging';

export interface WorkspaceConsumersOptions {
  readonly catalog: Catalog;
  /** Makes it where it is missing; a repetition changes nothing. */
  readonly ensure: (workspaceId: string) => Promise<void>;
  readonly onError: (error: unknown) => void;
}

export interface WorkspaceConsumers extends AsyncDisposable {
  /** Makes those that the catalog asks for; one that nobody needs any more keeps its place. */
  reconcile(): void;
}

const tryAgainMs = 2_000;

export function createWorkspaceConsumers(options: WorkspaceConsumersOptions): WorkspaceConsumers {
  const { catalog, ensure, onError } = options;
  const made = new Set<string>();
  let running = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;

  async function makeMissing(): Promise<void> {
    const wanted = catalog.list('bot').filter(({ item }) => item.runtime === 'external');
    for (const { workspaceId } of wanted) {
      if (isClosed || made.has(workspaceId)) continue;
      await ensure(workspaceId);
      made.add(workspaceId);
    }
  }
  function reconcile(): void {
    if (isClosed) return;
    clearTimeout(timer);
    running = running.then(makeMissing).catch((error: unknown) => {
      onError(error);
      timer = setTimeout(reconcile, tryAgainMs).unref();
    });
  }
  return {
    reconcile,
    [Symbol.asyncDispose]: async () => {
      isClosed = true;
      clearTimeout(timer);
      await running;
    },
  };
}
