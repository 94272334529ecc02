import { expect, test } from 'vitest';
import type { DoctorReport } from '../../../src/inspect/doctor.ts';
import { errorFinding, noteFinding, warningFinding } from '../../../src/inspect/finding.ts';
import { doctorText } from '../../../src/reports/doctor-text.ts';

const SOUND: DoctorReport = {
  migration: 'segments-hash',
  ok: true,
  findings: [],
  notes: [],
  checks: [
    { name: 'server', result: 'ok', detail: 'Postgres 15' },
    { name: 'disk space', result: 'unknown', detail: 'the server does not run on this machine' },
  ],
  full: false,
  seed: 7,
  postgres: '15.20 (Debian 15.20-0+deb12u1)',
  pgvector: '0.8.7',
  facts: undefined,
};

test('errors and warnings are told with why and fix, wrapped beside their label; then the unknown and the verdict', () => {
  const findings = [
    errorFinding('no_primary_key', 'Table "a" has no primary key, by which rows could be found again.', 'Add one.'),
    warningFinding('unlogged_table', 'Table "a" is unlogged.', 'Log it.'),
  ];
  expect(doctorText({ ...SOUND, ok: false, findings }, { width: 60, verbose: false })).toBe(`\
ERROR    Table "a" has no primary key, by which rows could
         be found again.
         Why: A row that cannot be found again cannot be
         written.
         Fix: Add one.

warn     Table "a" is unlogged.
         Why: New vectors cost time or money to make again.
         Fix: Log it.

unknown  disk space: the server does not run on this machine

ok       server

segments-hash is not sound: 1 error, 1 warning, 1 unknown (Postgres 15.20, pgvector 0.8.7, seed 7).`);
});

test('what is offered is told, and counts as nothing wrong', () => {
  const notes = [noteFinding('projection_missing', 'No pre-trained projection found for 1024D → 1536D.', 'Train one.')];
  const text = doctorText({ ...SOUND, notes }, { width: 100, verbose: false });
  expect(text).toContain('note     No pre-trained projection found for 1024D → 1536D.\n');
  expect(text).toContain('Nothing stands in the way of segments-hash: 1 unknown (');
});

test('with --verbose every check tells what it saw', () => {
  const text = doctorText({ ...SOUND, full: true }, { width: 100, verbose: true });
  expect(text).toContain('ok       server: Postgres 15\n');
  expect(text).toContain(
    'Nothing stands in the way of segments-hash: 1 unknown (Postgres 15.20, pgvector 0.8.7, all rows).',
  );
});

test('what the same thing stands in the way of is told once', () => {
  const detail = 'the table could not be read';
  const checks = [
    { name: 'rights', result: 'unknown', detail },
    { name: 'provider', result: 'unknown', detail: 'it was not asked: --no-probe' },
    { name: 'columns', result: 'unknown', detail },
  ] as const;
  const text = doctorText({ ...SOUND, checks }, { width: 100, verbose: false });
  expect(text).toContain(`unknown  rights, columns: ${detail}\nunknown  provider: it was not asked: --no-probe\n`);
  expect(text).toContain(': 3 unknown (');
});
