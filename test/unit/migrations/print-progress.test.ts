import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { printProgress } from '../../../src/migrations/print-progress.ts';
import type { ProgressEvent } from '../../../src/progress.ts';

function rows(done: number): ProgressEvent {
  return { kind: 'rows', done, total: 10_000, rate: 1234.4, tokenRate: 98_765.4, etaSeconds: 7 };
}

function terminal(isTTY: boolean, columns = 120) {
  const written: string[] = [];
  const write = (text: string): boolean => written.push(text) > 0;
  return { stream: { isTTY, columns, write }, written };
}

beforeEach(() => void vi.useFakeTimers({ now: 1_000_000 }));
afterEach(() => void vi.useRealTimers());

describe('on a terminal', () => {
  test('one line moves: a bar, rows, rate and what is left', () => {
    const { stream, written } = terminal(true);
    const { onProgress } = printProgress(stream, 'text');
    onProgress(rows(5_000));
    expect(written).toEqual([
      `\rreembed: ${'█'.repeat(12)}${'░'.repeat(12)}  50% 5,000 of 10,000 rows, 1,234 rows/s, 98,765 tokens/s, 7 s left\u001b[K`,
    ]);
  });

  test('a download moves the same line, in bytes', () => {
    const { stream, written } = terminal(true);
    const { onProgress } = printProgress(stream, 'text');
    const event = { kind: 'download', file: 'onnx/model.onnx', total: 133_000_000, rate: 21_300_000 } as const;
    onProgress({ ...event, done: 33_250_000, etaSeconds: 5 });
    vi.advanceTimersByTime(200);
    onProgress({ ...event, done: 133_000_000, etaSeconds: 0 });
    expect(written).toEqual([
      `\rreembed: ${'█'.repeat(6)}${'░'.repeat(18)}  25% onnx/model.onnx: 33.3 MB of 133 MB, 21.3 MB/s, 5 s left\u001b[K`,
      `\rreembed: ${'█'.repeat(24)} 100% onnx/model.onnx: 133 MB of 133 MB, 21.3 MB/s, 0 s left\u001b[K`,
      '\n',
    ]);
  });

  test('anything else begins a line of its own, and the end closes it', () => {
    const { stream, written } = terminal(true);
    const { onProgress, endLine } = printProgress(stream, 'text');
    onProgress(rows(1));
    onProgress({ kind: 'warning', message: 'slow' });
    vi.advanceTimersByTime(200);
    onProgress(rows(10_000));
    endLine();
    expect(written.slice(1, 3)).toEqual(['\n', 'reembed: Warning: slow\n']);
    expect(written.at(-1)).toBe('\n');
    expect(written.filter((text) => text === '\n')).toHaveLength(2);
  });

  test('on a narrow one the bar gives way: what is left stays in sight', () => {
    for (const [columns, cells] of [
      [89, 12],
      [80, 0],
    ] as const) {
      const { stream, written } = terminal(true, columns);
      printProgress(stream, 'text').onProgress(rows(5_000));
      expect(written[0]).toContain(', 7 s left\u001b[K');
      expect(written[0]?.match(/[█░]/g) ?? []).toHaveLength(cells);
    }
  });

  test('where nobody counts tokens, none are shown', () => {
    const { stream, written } = terminal(false);
    printProgress(stream, 'text').onProgress({ ...rows(5_000), tokenRate: undefined } as ProgressEvent);
    expect(written[0]).toBe('reembed: 5,000 of 10,000 rows, 1,234 rows/s, 7 s left\n');
  });

  test('the line never wraps', () => {
    const { stream, written } = terminal(true, 40);
    printProgress(stream, 'text').onProgress(rows(5_000));
    expect(written[0]?.replace('\r', '').replace('\u001b[K', '').length).toBe(39);
  });
});

test('elsewhere a plain line every five seconds, and the last one in any case', () => {
  const { stream, written } = terminal(false);
  const { onProgress } = printProgress(stream, 'text');
  for (const done of [1, 2, 3]) onProgress(rows(done));
  vi.advanceTimersByTime(5_000);
  onProgress(rows(4));
  onProgress(rows(10_000));
  expect(written).toEqual([
    'reembed: 1 of 10,000 rows, 1,234 rows/s, 98,765 tokens/s, 7 s left\n',
    'reembed: 4 of 10,000 rows, 1,234 rows/s, 98,765 tokens/s, 7 s left\n',
    'reembed: 10,000 of 10,000 rows, 1,234 rows/s, 98,765 tokens/s, 7 s left\n',
  ]);
});

test('REEMBED_LOG=json prints one document a line, on a terminal too', () => {
  const { stream, written } = terminal(true);
  const { onProgress } = printProgress(stream, 'json');
  onProgress({ kind: 'notice', message: 'hello' });
  onProgress(rows(3));
  const [notice, row] = written.map((line) => JSON.parse(line) as unknown);
  expect(notice).toEqual({ at: '1970-01-01T00:16:40.000Z', kind: 'notice', message: 'hello' });
  expect(row).toMatchObject({ kind: 'rows', done: 3, total: 10_000 });
});
