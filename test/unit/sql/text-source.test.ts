import { expect, it } from 'vitest';
import { batchWriteSql } from '../../../src/sql/batch-write.ts';
import { pendingSql } from '../../../src/sql/pending.ts';
import { readWindowSql } from '../../../src/sql/read-window.ts';
import { provenanceOf, type VectorTarget } from '../../../src/sql/target.ts';
import { bareSql, type TextExpression, textColumns, textName } from '../../../src/sql/text-source.ts';
import { createTriggerSql } from '../../../src/sql/trigger.ts';

const text: TextExpression = {
  source: `title ||\n  E'\\n' || "Bo""dy"`,
  parts: ['(', { column: 'title', attnum: 2 }, ` || '\n'::text || `, { column: 'Bo"dy', attnum: 3 }, ')'],
  immutable: true,
};
const target: VectorTarget = {
  schema: 'app',
  table: 'docs',
  key: [{ name: 'id', type: 'bigint' }],
  text,
  column: 'embedding_384',
  provenance: provenanceOf('embedding_384'),
  vectorType: 'vector',
  dimensions: 384,
  vectorSchema: 'ext',
  stateSchema: 'reembed',
};
const sql = (alias: string): string => `((${alias}."title" || '\n'::text || ${alias}."Bo""dy"))::text`;

it('puts the expression wherever a text column would stand, with its columns behind the alias', () => {
  expect(batchWriteSql(target, 7, { fenced: true })).toContain(`convert_to(${sql('t')}, 'UTF8')`);
  expect(pendingSql(target, '"docs"', 7)).toContain(`(${sql('"docs"')} COLLATE pg_catalog."C" ~ '[^[:space:]]')`);
  const window = readWindowSql(target, { modelId: 7, migrationId: 'a', afterCursor: false, skipQuarantined: true });
  expect(window).toContain(`((t."title" || '\n'::text || t."Bo""dy")) AS text`);
  expect(createTriggerSql(target, 'a', { always: false }).join()).toContain(
    `WHEN (${sql('NEW')} COLLATE pg_catalog."C" IS DISTINCT FROM ${sql('OLD')} COLLATE pg_catalog."C" OR `,
  );
});

it('names it in a line, and its columns each once', () => {
  expect(textName(text)).toBe(`title || E'\\n' || "Bo""dy"`);
  expect(textName({ expression: 'x'.repeat(80) })).toHaveLength(60);
  expect(textColumns({ parts: [...text.parts, ...text.parts] })).toEqual(['title', 'Bo"dy']);
  expect(bareSql(text)).toBe(`("title" || '\n'::text || "Bo""dy")`);
});
