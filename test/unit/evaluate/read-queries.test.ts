import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readQueries } from '../../../src/evaluate/queries/read-queries.ts';
import { refusalOf } from '../../helpers/refusal.ts';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'reembed-queries-'));
});
afterAll(() => rm(directory, { recursive: true }));

async function read(lines: readonly string[], keyColumns = 1, name = 'queries.jsonl') {
  const path = join(directory, name);
  await writeFile(path, lines.join('\n'));
  return readQueries(path, keyColumns);
}

describe('readQueries', () => {
  it('takes keys of one column and of several, binary and graded, slices, and queries without answers', async () => {
    const found = await read([
      '{ "query": "a", "relevant": [1, "two"], "slice": "de" }',
      '{ "query": "b", "relevant": [{ "key": 3, "grade": 2 }, { "key": "4", "grade": 0 }] }',
      '',
      '{ "query": "c", "relevant": { "5": 3, "6": 0.5 } }',
      '{ "query": "d" }',
    ]);
    expect(found).toEqual([
      {
        query: 'a',
        slice: 'de',
        relevant: [
          { key: ['1'], grade: 1 },
          { key: ['two'], grade: 1 },
        ],
      },
      { query: 'b', slice: undefined, relevant: [{ key: ['3'], grade: 2 }] },
      {
        query: 'c',
        slice: undefined,
        relevant: [
          { key: ['5'], grade: 3 },
          { key: ['6'], grade: 0.5 },
        ],
      },
      { query: 'd', slice: undefined, relevant: undefined },
    ]);
    expect(await read(['{ "query": "e", "relevant": [["de", 7]] }'], 2)).toMatchObject([
      { relevant: [{ key: ['de', '7'], grade: 1 }] },
    ]);
  });

  it('takes a text file with a query a line', async () => {
    expect(await read(['how to vacuum', '', ' toast '], 1, 'plain.txt')).toEqual([
      { query: 'how to vacuum', relevant: undefined },
      { query: 'toast', relevant: undefined },
    ]);
  });

  it.each([
    ['no JSON', ['{ "query": "a" }', 'oops'], /queries\.jsonl line 2 is not JSON: .*; expected is \{ "query"/],
    [
      'another field',
      ['{ "query": "a", "answers": [1] }'],
      /line 1 is \{ "query": "a", "answers": \[1\] \}, expected is/,
    ],
    ['a blank query', ['{ "query": " " }'], /line 1 is .*, expected is/],
    ['no relevant row', ['{ "query": "a", "relevant": [] }'], /line 1 names no relevant row, at least one is expected/],
    [
      'a key of two values',
      ['{ "query": "a", "relevant": [[1, 2]] }'],
      /line 1 names the key \["1","2"\] of 2 values, the table's key has 1/,
    ],
    ['nothing', [''], /holds no query, at least one line is expected/],
  ])('tells the line, what stands there and what is expected: %s', async (_, lines, message) => {
    expect(await refusalOf(read(lines))).toMatchObject({
      code: 'queries_invalid',
      message: expect.stringMatching(message),
    });
  });

  it('tells a file of another kind, and one that is not there', async () => {
    expect(await refusalOf(readQueries('queries.csv', 1))).toMatchObject({ code: 'queries_invalid' });
    const missing = await refusalOf(readQueries(join(directory, 'missing.jsonl'), 1));
    expect(missing).toMatchObject({ code: 'queries_unreadable', hint: expect.stringContaining('--queries') });
  });
});
