import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { queriesOfPart } from '../../../../src/steps/adapter/queries-of-part.ts';
import { partSizes, wantedSizes } from '../../../../src/steps/adapter/sizes.ts';
import { splitSample } from '../../../../src/steps/adapter/split.ts';
import type { AskedQuery, Sample } from '../../../../src/steps/adapter/types.ts';

const textsOf = (items: readonly (string | undefined)[]): Sample['texts'] =>
  items.map((item, i) => ({ id: String(i), text: `text ${i}`, old: undefined, fresh: undefined, item }));

describe('splitSample', () => {
  const asked = fc.option(
    fc.array(fc.record({ query: fc.string(), answers: fc.array(fc.nat(199), { minLength: 1, maxLength: 3 }) })),
    { nil: undefined },
  );

  it('never learns from, chooses by and measures on one text twice, and leaves none out', () => {
    fc.assert(
      fc.property(asked, fc.nat(60), fc.nat(60), fc.nat(), (queries, validation, holdout, seed) => {
        const parts = splitSample({ texts: 200, validation, holdout, seed }, queries);
        const all = [...parts.training, ...parts.validation, ...parts.holdout];
        expect(new Set(all).size).toBe(200);
        expect(all).toHaveLength(200);
        expect([parts.validation.length, parts.holdout.length]).toEqual([validation, holdout]);
        expect(splitSample({ texts: 200, validation, holdout, seed }, queries)).toEqual(parts);
      }),
    );
  });

  it('holds out what two of three queries ask for, and chooses by the others', () => {
    const queries: AskedQuery[] = Array.from({ length: 30 }, (_, i) => ({ query: `q${i}`, answers: [i] }));
    const { holdout, validation } = splitSample({ texts: 1_000, validation: 50, holdout: 50, seed: 3 }, queries);
    expect(holdout.filter((place) => place < 30)).toHaveLength(20);
    expect(validation.filter((place) => place < 30)).toHaveLength(10);
  });
});

describe('queriesOfPart', () => {
  it('asks for each item once, for all texts of the part that have it, and not for categories', () => {
    const items = ['a', 'b', 'a', undefined, ...Array.from({ length: 11 }, () => 'category')];
    const sample: Sample = { texts: textsOf(items), asked: undefined, source: 'items' };
    const places = [...items.keys()].toReversed();
    const { queries, answers } = queriesOfPart(sample, places, 1);
    expect(queries.toSorted()).toEqual(['a', 'b']);
    expect(answers[queries.indexOf('a')]?.map((row) => places[row]).toSorted()).toEqual([0, 2]);
  });

  it('leaves out queries whose answers are elsewhere', () => {
    const sample: Sample = {
      texts: textsOf(Array.from({ length: 5 }, () => undefined)),
      asked: [
        { query: 'here', answers: [3, 0] },
        { query: 'elsewhere', answers: [1] },
      ],
      source: 'file',
    };
    expect(queriesOfPart(sample, [2, 3], 1)).toEqual({ queries: ['here'], answers: [[1]] });
  });
});

describe('the sizes of the parts', () => {
  it('are what is wanted, the holdout on top, and a fifth of the samples to choose by', () => {
    expect(wantedSizes({})).toEqual({ samples: 1_000, holdout: 250 });
    expect(wantedSizes({ samples: 300 }).holdout).toBe(200);
    expect(wantedSizes({ samples: 9_000 }).holdout).toBe(500);
    expect(partSizes(5_000, wantedSizes({}), 'auto', 't')).toEqual({ training: 800, validation: 200, holdout: 250 });
    expect(partSizes(5_000, wantedSizes({}), 'ridge', 't')).toEqual({ training: 1_000, validation: 0, holdout: 250 });
  });

  it('are cut from fewer texts where fewer are there, down to what says something', () => {
    expect(partSizes(400, wantedSizes({}), 'ridge', 't')).toEqual({ training: 320, validation: 0, holdout: 80 });
    expect(partSizes(150, wantedSizes({}), 'ridge', 't')).toEqual({ training: 100, validation: 0, holdout: 50 });
    expect(() => partSizes(149, wantedSizes({}), 'ridge', 'public.t')).toThrow(
      'public.t has 149 different texts with a vector to learn from, at least 150 are expected',
    );
  });
});
