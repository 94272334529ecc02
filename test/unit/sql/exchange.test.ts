import { describe, expect, it } from 'vitest';
import {
  applyPropertiesSql,
  type ColumnProperties,
  dropVectorColumnSql,
  readUnvalidatedComment,
  renameVectorColumnSql,
  stripPropertiesSql,
} from '../../../src/sql/exchange.ts';
import { provenanceOf } from '../../../src/sql/target.ts';

const table = { schema: 'public', table: 'segments' };
const NOTHING: ColumnProperties = {
  notNull: false,
  defaultSql: undefined,
  comment: undefined,
  statisticsTarget: undefined,
  grants: [],
  checks: [],
};
const apply = (properties: Partial<ColumnProperties>): string[] =>
  applyPropertiesSql(table, 'embedding', { ...NOTHING, ...properties }, 'm');
const strip = (properties: Partial<ColumnProperties>): string[] =>
  stripPropertiesSql(table, 'embedding', { ...NOTHING, ...properties }, 'm');

describe('what belongs to the name', () => {
  it('is nothing for a plain column: no statement lengthens the lock', () => {
    expect(apply({})).toEqual([]);
    expect(strip({})).toEqual([]);
  });

  it('NOT NULL holds at once by a CHECK that reads no row', () => {
    expect(apply({ notNull: true })).toEqual([
      'ALTER TABLE "public"."segments" ADD CONSTRAINT "reembed_not_null_m" CHECK ("embedding" IS NOT NULL) NOT VALID',
    ]);
  });

  it('privileges keep their grantees, their columns and the grant option', () => {
    const grants = [
      { grantee: 'App "one"', privilege: 'UPDATE', grantable: true },
      { grantee: undefined, privilege: 'SELECT', grantable: false },
    ];
    expect(apply({ grants })).toEqual([
      'GRANT UPDATE ("embedding") ON TABLE "public"."segments" TO "App ""one""" WITH GRANT OPTION',
      'GRANT SELECT ("embedding") ON TABLE "public"."segments" TO PUBLIC',
    ]);
    expect(strip({ grants })).toHaveLength(2);
    expect(() => apply({ grants: [{ grantee: 'a', privilege: 'ALL; DROP', grantable: false }] })).toThrow(RangeError);
  });

  it('a CHECK comes back under its name, marked until it is validated; its own comment is not lost', () => {
    const check = { name: 'c', definition: 'CHECK (vector_norm(embedding) > 0)', validated: true, comment: "it's\nso" };
    const [add, comment] = apply({ checks: [check] });
    expect(add).toBe('ALTER TABLE "public"."segments" ADD CONSTRAINT "c" CHECK (vector_norm(embedding) > 0) NOT VALID');
    const marked = /IS '(.*)'$/s.exec(comment ?? '')?.[1]?.replaceAll("''", "'");
    expect(readUnvalidatedComment(marked)).toEqual({ original: "it's\nso" });
    expect(readUnvalidatedComment("it's\nso")).toBeUndefined();
  });

  it('a CHECK that was NOT VALID stays so, unmarked', () => {
    expect(
      apply({ checks: [{ name: 'c', definition: 'CHECK (x)', validated: false, comment: undefined }] }),
    ).toHaveLength(1);
  });
});

describe('the columns', () => {
  it('take their provenance along', () => {
    const old = { column: 'embedding', provenance: provenanceOf('embedding') };
    expect(renameVectorColumnSql(table, old, 'embedding_old').map((sql) => sql.split('RENAME COLUMN ')[1])).toEqual([
      '"embedding" TO "embedding_old"',
      '"embedding_model" TO "embedding_old_model"',
      '"embedding_hash" TO "embedding_old_hash"',
      '"embedding_at" TO "embedding_old_at"',
    ]);
    expect(renameVectorColumnSql(table, { column: 'e', provenance: undefined }, 'f')).toHaveLength(1);
  });

  it('are dropped with the provenance that they have, never with columns of the application', () => {
    expect(dropVectorColumnSql(table, { column: 'e', provenance: undefined })).toBe(
      'ALTER TABLE "public"."segments" DROP COLUMN "e"',
    );
    expect(dropVectorColumnSql(table, { column: 'e', provenance: provenanceOf('e') })).toContain('DROP COLUMN "e_at"');
  });
});
