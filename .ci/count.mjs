// Adds up vitest's own JSON reports: node .ci/count.mjs <failed stages without a failed test> report.json …
// Prints the gate's last line and exits with 1 unless everything passed.
import { readFileSync } from 'node:fs';

const [stages = '0', ...files] = process.argv.slice(2);
let passed = 0;
let failed = Number(stages);
let skipped = 0;
for (const file of files) {
  const report = JSON.parse(readFileSync(file, 'utf8'));
  passed += report.numPassedTests;
  failed += report.numFailedTests;
  skipped += report.numPendingTests + report.numTodoTests;
}
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exit(failed > 0 || (files.length > 0 && passed === 0) ? 1 : 0);
