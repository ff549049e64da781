/** The catalog file as text: variables filled in, and every problem with its line. */
import { type CatalogFile, readCatalogFile } from '@rastro/operator-console/catalog-file';
import type { Environment } from '@rastro/runtime';
import { type Document, isScalar, LineCounter, parseDocument, visit } from 'yaml';

/** Nothing was changed; `message` lists every problem as `file:line: what`. */
export class CatalogFileError extends Error {
  readonly code = 'CATALOG_FILE_INVALID';

  constructor(fileName: string, problems: readonly LineProblem[]) {
    const lines = problems
      .toSorted((a, b) => a.line - b.line)
      .map(({ line, message }) => `  ${fileName}:${line}: ${message}`);
    super(
      `The catalog has ${problems.length} problem(s); nothing was changed.\n${lines.join('\n')}`,
    );
    this.name = 'CatalogFileError';
  }
}

interface LineProblem {
  readonly line: number;
  readonly message: string;
}

/** A catalog file that is right in itself. */
export interface CatalogText {
  readonly file: CatalogFile;
  /** What turned out to be wrong with entries of the file, at their lines. */
  readonly errorOf: (problems: readonly EntryProblem[]) => CatalogFileError;
}

export interface EntryProblem {
  /** A section of the file, e.g. `bots`. */
  readonly section: string;
  readonly id: string;
  readonly field: string;
  readonly message: string;
}

/**
 * `${NAME}` in a value is taken from the environment, so that secrets need not stand in the file.
 * @throws {CatalogFileError}
 */
export function readCatalogText(options: {
  text: string;
  fileName: string;
  environment: Environment;
}): CatalogText {
  const { text, fileName, environment } = options;
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const broken = document.errors.map((error) => ({
    line: lines.linePos(error.pos[0]).line,
    message: error.message.replace(/ at line [\s\S]*/, ''),
  }));
  if (broken.length > 0) throw new CatalogFileError(fileName, broken);

  const missing = interpolate(document, environment, lines);
  if (missing.length > 0) throw new CatalogFileError(fileName, missing);

  const result = readCatalogFile(document.toJS());
  if (result.ok) {
    const { file } = result;
    return { file, errorOf: (found) => entryError({ document, lines, fileName }, found) };
  }
  const problems = result.problems.map(({ path, message }) => ({
    line: lineOf(document, lines, path),
    message: `${path.join('.') || 'the file'}: ${message}`,
  }));
  throw new CatalogFileError(fileName, problems);
}

/** @throws {CatalogFileError} */
export const parseCatalogYaml = (options: Parameters<typeof readCatalogText>[0]): CatalogFile =>
  readCatalogText(options).file;

function entryError(
  parsed: { document: Document; lines: LineCounter; fileName: string },
  found: readonly EntryProblem[],
): CatalogFileError {
  const { document, lines, fileName } = parsed;
  const content = document.toJS() as Record<string, { id: unknown }[]>;
  const problems = found.map(({ section, id, field, message }) => {
    const index = (content[section] ?? []).findIndex((entry) => entry.id === id);
    const line = lineOf(document, lines, [section, index, field]);
    return { line, message: `${section} "${id}" ${field}: ${message}` };
  });
  return new CatalogFileError(fileName, problems);
}

function interpolate(
  document: Document,
  environment: Environment,
  lines: LineCounter,
): LineProblem[] {
  const problems: LineProblem[] = [];
  visit(document, {
    Scalar: (_key, node) => {
      if (typeof node.value !== 'string' || !node.value.includes('${')) return;
      node.value = node.value.replaceAll(
        /\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g,
        (_match, name: string) => {
          const value = environment[name];
          if (value) return value;
          const line = lines.linePos(node.range?.[0] ?? 0).line;
          problems.push({ line, message: `the variable ${name} is not set` });
          return '';
        },
      );
    },
  });
  return problems;
}

/** The line of the deepest part of the path that is there: what is missing has none of its own. */
function lineOf(
  document: Document,
  lines: LineCounter,
  path: readonly (string | number)[],
): number {
  for (let depth = path.length; depth > 0; depth -= 1) {
    const node = document.getIn(path.slice(0, depth), true);
    const range = isScalar(node) || hasRange(node) ? node.range : undefined;
    if (range) return lines.linePos(range[0]).line;
  }
  return 1;
}

function hasRange(node: unknown): node is { range: [number, number, number] } {
  return typeof node === 'object' && node !== null && 'range' in node && Array.isArray(node.range);
}
