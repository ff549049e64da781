/** Text from outside, made fit for an event: bounded, and without what a database refuses. */

// No link carries control characters on purpose, and JSON columns refuse NUL.
const controls = /\p{Cc}/gu;

/** Null for what is absent or empty. */
export function boundedText(value: string | null | undefined, maxLength: number): string | null {
  if (!value) return null;
  return value.replace(controls, '').slice(0, maxLength).toWellFormed() || null;
}
