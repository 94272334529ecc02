// Adds up vitest's own JSON reports: node .ci/count.mjs <failed stages without a failed test> report.json …
// Names every failed test with the beginning of its message, prints the gate's last line and exits with 1 unless everything passed.
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';

const MESSAGE_LINES = 12;

const [stages = '0', ...files] = process.argv.slice(2);
let passed = 0;
let failed = Number(stages);
let skipped = 0;
for (const file of files) {
  const report = JSON.parse(readFileSync(file, 'utf8'));
  passed += report.numPassedTests;
  failed += report.numFailedTests;
  skipped += report.numPendingTests + report.numTodoTests;
  for (const { name, message, assertionResults } of report.testResults) {
    const failures = assertionResults.filter(({ status }) => status === 'failed');
    // A file that could not even be loaded has a message and no test.
    if (failures.length === 0 && message) tell(file, name, '', message);
    for (const { fullName, failureMessages } of failures) tell(file, name, fullName, failureMessages.join('\n'));
  }
}
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exit(failed > 0 || (files.length > 0 && passed === 0) ? 1 : 0);

function tell(file, path, test, message) {
  const lines = message.split('\n').slice(0, MESSAGE_LINES);
  console.log(
    `FAILED in ${basename(file, '.json')}: ${path} ${test}\n${lines.map((line) => `    ${line}`).join('\n')}`,
  );
}
