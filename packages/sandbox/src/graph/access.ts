/** Who asks the Graph API, for what, and whether there is such a thing. */
import type { FastifyRequest } from 'fastify';
import type { WorldPixel } from '../world.ts';
import { type GraphError, invalidToken, missingToken, objectMissing } from './errors.ts';

const oldestVersion = 21;
const newestVersion = 26;

export function tokenOf(
  request: FastifyRequest,
  parameters: Record<string, unknown>,
): string | null {
  const bearer = /^(?:Bearer|OAuth) (.+)$/i.exec(request.headers.authorization ?? '')?.[1];
  const parameter = parameters['access_token'];
  return bearer ?? (typeof parameter === 'string' ? parameter : null);
}

export function checkVersion(version: string, path: string): GraphError | null {
  const match = /^v(\d{1,3})\.\d$/.exec(version);
  const major = Number(match?.[1]);
  if (match === null || major > newestVersion) {
    return { status: 400, code: 2500, message: `Unknown path components: /${version}${path}` };
  }
  if (major >= oldestVersion) return null;
  return {
    status: 400,
    code: 2635,
    message:
      '(#2635) You are calling a deprecated version of the API. ' +
      `Please update to the latest version: v${newestVersion}.0.`,
  };
}

export function checkAccess(
  call: { token: string | null; pixelId: string; method: 'get' | 'post' },
  pixels: readonly WorldPixel[],
): GraphError | null {
  const { token, pixelId, method } = call;
  if (token === null || token === '') return missingToken;
  const owned = pixels.filter((pixel) => pixel.accessToken === token);
  if (owned.length === 0) return invalidToken;
  return owned.some((pixel) => pixel.id === pixelId) ? null : objectMissing(pixelId, method);
}
