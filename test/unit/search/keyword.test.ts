import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { countFinding, inverseFrequency, isComplete, weighTerms } from '../../../src/search/keyword/bm25.ts';
import { where } from '../../../src/sql/filter.ts';
import { pgSearchSql, vchordSql } from '../../../src/sql/keyword-extensions.ts';
import { indexedSearchSql, type KeywordTarget, scanSearchSql } from '../../../src/sql/keyword-search.ts';
import { countWindowSql } from '../../../src/sql/keyword-statistics.ts';
import { lexemeQuery, wordsIndexName, wordsIndexPrefix, wordsKeySql } from '../../../src/sql/keyword-words.ts';

const target: KeywordTarget = {
  schema: 'My "App"',
  table: 'Seg ments',
  key: [
    { name: 'tenant', type: 'uuid' },
    { name: 'I"d', type: 'bigint' },
  ],
  text: 'te"xt',
  language: 'my."La\'ng"',
};
const one: Omit<KeywordTarget, 'language'> = { ...target, key: [{ name: 'I"d', type: 'bigint' }] };
const conditions = { filter: where`lang = ${'de'} OR n > ${3}`, withoutVector: 'emb"2' };

describe('BM25', () => {
  it('weighs words by Lucene’s idf, which sinks with the rows that have them and is never negative', () => {
    // N = 3, df = 1 and 3: ln(1 + 2.5 / 1.5) and ln(1 + 0.5 / 3.5).
    expect(inverseFrequency(3, 1)).toBeCloseTo(0.9808292530117262, 12);
    expect(inverseFrequency(3, 3)).toBeCloseTo(0.13353139262452263, 12);
    fc.assert(
      fc.property(fc.nat(1e6), fc.nat(1e6), (documents, withTerm) => {
        const weight = inverseFrequency(documents, withTerm);
        expect(weight).toBeGreaterThan(0);
        expect(inverseFrequency(documents, withTerm + 1)).toBeLessThanOrEqual(weight);
      }),
    );
  });

  it('takes the rarest words first, and of the frequent ones no more than are allowed', () => {
    const terms = [
      { lexeme: 'tabl', times: 1, withTerm: 900 },
      { lexeme: 'wombat', times: 2, withTerm: 1 },
      { lexeme: 'use', times: 1, withTerm: 1500 },
    ];
    const [first, ...rest] = weighTerms(2000, terms);
    expect(first).toEqual({ lexeme: 'wombat', weight: 2 * inverseFrequency(2000, 1) });
    expect(rest.map(({ lexeme }) => lexeme)).toEqual(['tabl', 'use']);
    expect([10_000, 1_000, 100, 0].map((most) => countFinding(terms, most))).toEqual([3, 2, 1, 1]);
    expect(countFinding(terms.slice(2), 10)).toBe(1);
  });

  it('calls a result complete only where no row that was left out could belong to it', () => {
    const term = fc.record({ weight: fc.double({ min: 0.01, max: 9, noNaN: true }), sought: fc.boolean() });
    const row = fc.array(fc.double({ min: 0, max: 0.99, noNaN: true }), { minLength: 3, maxLength: 3 });
    fc.assert(
      fc.property(
        fc.array(term, { minLength: 3, maxLength: 3 }),
        fc.array(row, { maxLength: 12 }),
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 6 }),
        (terms, rows, limit, candidates) => {
          // What of a word's weight a row gains: 0 where it has not the word.
          const gain = (of: readonly number[]): number => sum(terms.map(({ weight }, i) => weight * (of[i] ?? 0)));
          const bound = (of: readonly number[]): number =>
            sum(terms.map(({ weight, sought }, i) => (sought && (of[i] ?? 0) > 0 ? weight : 0)));
          const found = rows.filter((each) => bound(each) > 0).sort((a, b) => bound(b) - bound(a));
          const scores = descending(found.slice(0, candidates).map(gain)).slice(0, limit);
          const next = found[candidates];
          const unsought = sum(terms.filter(({ sought }) => !sought).map(({ weight }) => weight));
          fc.pre(isComplete({ scores, limit, rest: next === undefined ? 0 : bound(next), unsought, cut: false }));
          expect(scores).toEqual(descending(rows.map(gain).filter((score) => score > 0)).slice(0, limit));
        },
      ),
    );
    expect(isComplete({ scores: [9], limit: 1, rest: 0, unsought: 0, cut: true })).toBe(false);
  });
});

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
const descending = (values: readonly number[]): number[] => [...values].sort((a, b) => b - a);

describe('the SQL of a keyword search', () => {
  it('quotes and qualifies every name, and takes every value as a parameter', () => {
    const terms = [
      { lexeme: "o'clock", weight: 2 },
      { lexeme: 'a\\b', weight: 1 },
    ];
    const search = {
      ...conditions,
      finding: terms.slice(0, 1),
      terms,
      averageLength: 7.5,
      maxEntries: 50,
      candidates: 20,
      limit: 3,
    };
    const { text, params } = indexedSearchSql(target, search);
    const words = `pg_catalog.to_tsvector('my."La''ng"'::pg_catalog.regconfig, pg_catalog."left"((t."te""xt")::pg_catalog.text, 100000))`;
    expect(text).toContain(
      `FROM "My ""App"""."Seg ments" t WHERE ${words} OPERATOR(pg_catalog.@@) $4::pg_catalog.tsquery AND (lang = $1 OR n > $2\n) AND t."emb""2" IS NULL`,
    );
    expect(text).toContain('ORDER BY s.score DESC, s.k0, s.k1 LIMIT $10::bigint');
    expect(params).toEqual(['de', 3, 2, "'o''clock'", 20, 50, `{"o'clock","a\\\\b"}`, '{2,1}', 7.5, 3]);
    const scan = scanSearchSql(target, { ...conditions, query: "x'); DROP", limit: 3 });
    expect(scan.text).not.toContain('DROP');
    expect(scan.text).toContain('(true AND (lang = $3 OR n > $4\n) AND t."emb""2" IS NULL) AS wanted');
    expect(scan.params).toEqual(['my."La\'ng"', "x'); DROP", 'de', 3, 3]);
    expect(countWindowSql(target, true)).toContain(
      '(t."tenant", t."I""d") > ($1::text::uuid, $2::text::bigint) ORDER BY t."tenant", t."I""d" LIMIT $3::bigint',
    );
    expect(lexemeQuery(`it's a \\ '& !`)).toBe(`'it''s a \\\\ ''& !'`);
  });

  it('indexes the same words of a column and of an expression, under a name that another language does not share', () => {
    const parts = ['COALESCE(', { column: 'Ti"tle', attnum: 2 }, ", '')"];
    expect(wordsKeySql('pg_catalog.english', { source: '', parts, immutable: true })).toBe(
      `(pg_catalog.to_tsvector('pg_catalog.english'::pg_catalog.regconfig, pg_catalog."left"(((COALESCE("Ti""tle", '')))::pg_catalog.text, 100000)))`,
    );
    const names = ['pg_catalog.english', 'pg_catalog.simple', 'app.english'].map((language) =>
      wordsIndexName('a-b', language),
    );
    expect(names[0]).toBe('reembed_words_a-b_english');
    expect(new Set(names).size).toBe(3);
    expect(names.every((name) => name.startsWith(wordsIndexPrefix('a-b')))).toBe(true);
  });

  it('asks pg_search and vchord_bm25 as they document it', () => {
    const search = { ...conditions, query: 'bees & honey', limit: 3 };
    expect(pgSearchSql(one, search)).toEqual({
      text: [
        'SELECT s.k0::pg_catalog.text AS k0, s.text, s.score::float8 AS score FROM (',
        '  SELECT t."I""d" AS k0, t."te""xt"::pg_catalog.text AS text, pdb.score(t."I""d") AS score FROM "My ""App"""."Seg ments" t',
        '  WHERE t."te""xt" OPERATOR(pg_catalog.|||) $3::text AND (lang = $1 OR n > $2\n) AND t."emb""2" IS NULL ORDER BY score DESC, k0 LIMIT $4::bigint) s',
        'ORDER BY s.score DESC, s.k0',
      ].join('\n'),
      params: ['de', 3, 'bees & honey', 3],
    });
    const place = { column: 'bm25', index: "ix'1", tokenizer: 'bert' };
    const { text, params } = vchordSql(one, place, { query: 'bees', limit: 3 });
    expect(text).toContain(
      `t."bm25" OPERATOR(bm25_catalog.<&>) bm25_catalog.to_bm25query('"My ""App"""."ix''1"'::pg_catalog.regclass, ` +
        'tokenizer_catalog.tokenize($1::text, $2::text)::bm25_catalog.bm25vector) AS distance',
    );
    expect(text).toContain('WHERE s.distance < 0 ORDER BY s.distance, s.k0');
    expect(params).toEqual(['bees', 'bert', 3]);
  });
});
