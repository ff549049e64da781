/** What was found in one event: faults reject the whole request, warnings are only shown. */
export interface Finding {
  /** Where, in the JSON path form that Meta writes: `$['data'][0]['user_data']`. */
  path: string;
  detail: string;
  subcode?: number;
  title?: string;
}

export interface Findings {
  faults: Finding[];
  warnings: string[];
  fault(path: string, detail: string, subcode?: number, title?: string): void;
  warn(text: string): void;
}

export function createFindings(): Findings {
  const faults: Finding[] = [];
  const warnings: string[] = [];
  return {
    faults,
    warnings,
    fault(path, detail, subcode, title) {
      faults.push({
        path,
        detail,
        ...(subcode === undefined ? {} : { subcode }),
        ...(title === undefined ? {} : { title }),
      });
    },
    warn(text) {
      if (!warnings.includes(text)) warnings.push(text);
    },
  };
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A text or number as text; anything else as nothing. */
export function plainText(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}
