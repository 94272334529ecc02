import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { CHECK_NAMES, checkOf, FINDING_CODES, whyOf } from '../../../src/inspect/catalogue.ts';

const page = await readFile(join(import.meta.dirname, '../../../docs/doctor.md'), 'utf8');

test('docs/doctor.md has every code that a finding may have, under its check, and no other', () => {
  const rows = page.split('\n').filter((line) => /^\| `[a-z0-9_]+` \|/.test(line));
  const documented = rows.map((line) => line.split('|')[1]?.replaceAll('`', '').trim() ?? '');
  expect([...documented].sort()).toEqual([...FINDING_CODES].sort());
  for (const [i, code] of documented.entries()) expect(rows[i]?.split('|')[2]?.trim(), code).toBe(checkOf(code));
});

test('docs/doctor.md names every check', () => {
  for (const name of CHECK_NAMES) expect(page, name).toContain(`| ${name} |`);
});

test('each reason is one sentence', () => {
  for (const code of FINDING_CODES) expect(whyOf(code), code).toMatch(/^([A-Z]|reembed ).*\.$/);
});
