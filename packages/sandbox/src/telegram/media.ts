/** Files that a message carries: pictures are taken and shown, all else is named by its address. */
import { createHash } from 'node:crypto';
import { objectOf, type Parameters, textOf } from './parameters.ts';
import type { TelegramStore } from './store.ts';
import { badRequest, BotApiError, type LinkedFile, type Message, type PhotoSize } from './types.ts';

export const linkedTypes = ['video', 'animation', 'audio', 'voice', 'document'] as const;
export type LinkedType = (typeof linkedTypes)[number];

const maxPhotoBytes = 10 * 1024 * 1024;

/** The picture that a call names: an upload, a known file or an address. */
export async function takePhoto(
  store: TelegramStore,
  parameters: Parameters,
  named = textOf(parameters, 'photo'),
): Promise<PhotoSize> {
  const attached = /^attach:\/\/(.+)$/.exec(named ?? '')?.[1] ?? 'photo';
  const upload = parameters.files.get(attached);
  if (upload === undefined && named === null) throw badRequest('there is no photo in the request');
  if (upload === undefined) {
    const known = store.photo(named ?? '');
    if (known !== undefined) return known.size;
  }
  const bytes = upload ?? (await download(named ?? ''));
  if (bytes.length > maxPhotoBytes) throw new BotApiError(413, 'Request Entity Too Large');
  const photo = store.savePhoto(bytes);
  if (photo === null) throw badRequest('IMAGE_PROCESS_FAILED');
  return photo.size;
}

async function download(url: string): Promise<Buffer> {
  mustBeAddress(url);
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(5000) });
    if (!response.ok) throw new Error(`status ${response.status}`);
    return Buffer.from(await response.arrayBuffer());
  } catch {
    throw badRequest('failed to get HTTP URL content');
  }
}

function mustBeAddress(url: string): void {
  if (/^https?:\/\//i.test(url) && URL.canParse(url)) return;
  const wrong = "wrong remote file identifier specified: can't unserialize it. Wrong last symbol";
  throw badRequest(wrong);
}

/** A file by its address, which is not fetched: the sandbox keeps what it is and where. */
export function linkedFile(type: LinkedType, url: string | null): LinkedFile {
  if (url === null || url === '') throw badRequest(`there is no ${type} in the request`);
  mustBeAddress(url);
  const hash = createHash('sha256').update(`${type} ${url}`).digest('base64url');
  return { file_id: `BAACAgEAAx${hash}`, file_unique_id: hash.slice(0, 16), url };
}

/** What `editMessageMedia` is to show. */
export async function takeInputMedia(
  store: TelegramStore,
  parameters: Parameters,
): Promise<{ file: Partial<Message>; caption: Parameters }> {
  const input = objectOf(parameters, 'media');
  if (typeof input !== 'object' || input === null) throw badRequest("can't parse InputMedia");
  const fields = input as Record<string, unknown>;
  const { type, media } = fields;
  if (typeof media !== 'string' || media === '') throw badRequest('media not found');
  const caption = { fields, files: parameters.files };
  if (type === 'photo') {
    return { file: { photo: [await takePhoto(store, parameters, media)] }, caption };
  }
  const linked = linkedTypes.find((known) => known === type);
  // A voice note is the one kind that cannot be edited in.
  if (linked === undefined || linked === 'voice') throw badRequest('unknown InputMedia type');
  return { file: { [linked]: linkedFile(linked, media) }, caption };
}
