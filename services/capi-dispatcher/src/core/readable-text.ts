/**
 * A text as it was meant, whatever it was written in: JSON as PHP writes it (`\/`, `\u00e9`),
 * percent-encoding, HTML, or one inside the other. Each character knows where it stood.
 */
export interface Readable {
  readonly text: string;
  /** The place in the source of a range of `text`. */
  readonly placeOf: (from: number, to: number) => Range;
}

export interface Range {
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
}

const maxLayers = 4;

export function readable(source: string): Readable {
  let read: Readable = { text: source, placeOf: (from, to) => ({ from, to }) };
  for (let layer = 0; layer < maxLayers; layer += 1) {
    const next = withoutOneLayer(read.text);
    if (next === null) return read;
    const { placeOf } = read;
    read = {
      text: next.text,
      placeOf: (from, to) => {
        const inner = next.placeOf(from, to);
        return placeOf(inner.from, inner.to);
      },
    };
  }
  return read;
}

const escapes =
  /\\u[\da-f]{4}|\\x[\da-f]{2}|\\["'\\/]|(?:%[\da-f]{2})+|&(?:amp|lt|gt|quot|apos|#\d{1,5}|#x[\da-f]{1,4});/gi;

/** Null where there is nothing to take off. */
function withoutOneLayer(source: string): Readable | null {
  const text = source.replaceAll(escapes, meaningOf);
  if (text === source) return null;
  // Of the values that are looked for, which are many, nobody asks where they stood.
  let places: Places | null = null;
  return {
    text,
    placeOf: (from, to) => {
      places ??= placesIn(source);
      return { from: places.starts[from] ?? 0, to: places.ends[to - 1] ?? 0 };
    },
  };
}

interface Places {
  readonly starts: readonly number[];
  readonly ends: readonly number[];
}

/** Of each unit of the text. Who hides a part of what is escaped together hides all of it. */
function placesIn(source: string): Places {
  const [starts, ends]: [number[], number[]] = [[], []];
  let end = 0;
  const copyUntil = (stop: number): void => {
    for (; end < stop; end += 1) {
      starts.push(end);
      ends.push(end + 1);
    }
  };
  for (const { 0: escape, index } of source.matchAll(escapes)) {
    copyUntil(index);
    end = index + escape.length;
    for (let units = meaningOf(escape).length; units > 0; units -= 1) {
      starts.push(index);
      ends.push(end);
    }
  }
  copyUntil(source.length);
  return { starts, ends };
}

const named: Readonly<Record<string, string>> = {
  '&amp;': '&',
  '&lt;': '<',
  '&gt;': '>',
  '&quot;': '"',
  '&apos;': "'",
};

function meaningOf(escape: string): string {
  if (escape.startsWith('%')) return percentDecoded(escape);
  if (escape.startsWith('&#x')) return unit(escape.slice(3, -1), 16);
  if (escape.startsWith('&#')) return unit(escape.slice(2, -1), 10);
  if (escape.startsWith('&')) return named[escape.toLowerCase()] ?? escape;
  return escape.length === 2 ? escape.slice(1) : unit(escape.slice(2), 16);
}

const unit = (digits: string, base: number): string =>
  String.fromCharCode(Number.parseInt(digits, base));

function percentDecoded(escape: string): string {
  try {
    return decodeURIComponent(escape);
  } catch {
    // Not UTF-8: at least what is ASCII of it.
    return escape.replaceAll(/%[0-7][\da-f]/gi, (byte) => unit(byte.slice(1), 16));
  }
}
