/** Where the secrets of an entry are, for those who seal, open or hide them. */
import type { AnyDraft } from './entry.ts';

/** Gives each secret of an entry to `transform`, with the place that it is bound to. */
export function mapSecrets(
  draft: AnyDraft,
  transform: (place: string, secret: string) => string,
): AnyDraft {
  const { kind, id, data } = draft;
  switch (kind) {
    case 'account': {
      const credentials = Object.entries(data.credentials).map(([name, secret]) => [
        name,
        transform(`account/${id}/credentials/${name}`, secret),
      ]);
      return {
        kind,
        id,
        data: { ...data, credentials: Object.fromEntries(credentials) as Record<string, string> },
      };
    }
    case 'bot': {
      if (data.token === undefined) return draft;
      return { kind, id, data: { ...data, token: transform(`bot/${id}/token`, data.token) } };
    }
    case 'pool': {
      const { accessToken } = data.meta;
      const sealed =
        accessToken === null ? null : transform(`pool/${id}/meta/accessToken`, accessToken);
      return { kind, id, data: { ...data, meta: { ...data.meta, accessToken: sealed } } };
    }
    case 'product':
    case 'funnel':
      return draft;
  }
}
