// Reads the TAP of one suite from its input, shows what a person wants to see of it (a line for
// each test file, failures with their details, and what the tests themselves print), and adds
// "PASSED FAILED" to a file of results:
//   tap --reporter=tap FILES | node infra/tap-report.ts RESULTS_FILE
// Its exit code says whether the suite passed, so that a pipe does not lose it.
import { appendFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const [resultsFile = ''] = process.argv.slice(2);
const detailsEnd = /^\s*\.\.\.$/;
const noise = /^\s*(ok \d|# Subtest|# time=|# No coverage|\d+\.\.\d+|TAP version|\}$|$)/;

let passed = 0;
let failed = 0;
let isFinished = false;
let inDetails: 'no' | 'shown' | 'hidden' = 'no';
let isAfterFile = false;

for await (const line of createInterface({ input: process.stdin })) {
  const shown = read(line);
  if (shown !== undefined) console.log(`  ${shown}`);
}
if (!isFinished) {
  failed += 1;
  console.log('  the test runner ended before its last line');
}
appendFileSync(resultsFile, `${passed} ${failed}\n`);
process.exitCode = failed === 0 ? 0 : 1;

function read(line: string): string | undefined {
  if (inDetails !== 'no') {
    const isShown = inDetails === 'shown';
    if (detailsEnd.test(line)) inDetails = 'no';
    return isShown ? line : undefined;
  }
  if (/^\s*---$/.test(line)) {
    // Under a file's own line stand only the arguments that it was run with.
    inDetails = isAfterFile ? 'hidden' : 'shown';
    return isAfterFile ? undefined : line;
  }
  const file = /^(ok|not ok) \d+ - (.*?) # time=([\d.]+)ms( \{)?$/.exec(line);
  isAfterFile = file !== null;
  if (file !== null) {
    const verdict = file[1] === 'ok' ? 'ok    ' : 'FAILED';
    return `${verdict} ${file[2]} (${(Number(file[3]) / 1000).toFixed(1)} s)`;
  }
  const summary = /^# \{ total: \d+, pass: (\d+)(?:, fail: (\d+))?/.exec(line);
  if (summary !== null) {
    passed += Number(summary[1]);
    failed += Number(summary[2] ?? 0);
    isFinished = true;
    return undefined;
  }
  return noise.test(line) ? undefined : line;
}
