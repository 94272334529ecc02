import { describe, expect, it } from 'vitest';
import { batchWriteSql } from '../../../src/sql/batch-write.ts';
import { addTargetColumnsSql, dropTargetColumnsSql } from '../../../src/sql/columns.ts';
import { fitIdentifier, quoteIdentifier, quoteLiteral, shownIdentifier } from '../../../src/sql/identifiers.ts';
import { pendingSql } from '../../../src/sql/pending.ts';
import { readWindowSql } from '../../../src/sql/read-window.ts';
import { provenanceOf, type VectorTarget } from '../../../src/sql/target.ts';
import { createTriggerSql, triggerName } from '../../../src/sql/trigger.ts';

const target: VectorTarget = {
  schema: 'My "App"',
  table: 'Seg ments',
  key: [
    { name: 'tenant', type: 'uuid' },
    { name: 'Id', type: 'bigint' },
  ],
  text: 'te"xt',
  column: 'embedding_384',
  provenance: provenanceOf('embedding_384'),
  vectorType: 'vector',
  dimensions: 384,
  vectorSchema: 'ext',
  stateSchema: 'reembed',
};

describe('generated SQL', () => {
  it('quotes every name and qualifies every table and type', () => {
    expect(addTargetColumnsSql(target)[0]).toBe(
      'ALTER TABLE "My ""App"""."Seg ments" ADD COLUMN "embedding_384" "ext"."vector"(384), ADD COLUMN "embedding_384_model" integer, ' +
        'ADD COLUMN "embedding_384_hash" bytea, ADD COLUMN "embedding_384_at" timestamptz',
    );
    expect(dropTargetColumnsSql(target)).toContain('DROP COLUMN IF EXISTS "embedding_384_hash"');
  });

  it('keeps vectors in the row where they fit and leaves long ones to TOAST', () => {
    expect(addTargetColumnsSql(target)[1]).toContain('SET STORAGE MAIN');
    expect(addTargetColumnsSql({ ...target, dimensions: 1536 })).toHaveLength(1);
    expect(addTargetColumnsSql({ ...target, dimensions: 1536, vectorType: 'halfvec' })).toHaveLength(2);
  });

  it('writes a batch under lock, guard and fence', () => {
    const sql = batchWriteSql(target, 7, { fenced: true });
    expect(sql).toContain('FOR NO KEY UPDATE OF t SKIP LOCKED');
    expect(sql).toContain('ORDER BY t."tenant", t."Id"');
    expect(sql).toContain('t."embedding_384_model" IS DISTINCT FROM 7');
    expect(sql).toContain(`sha256(pg_catalog.convert_to(t."te""xt"::text, 'UTF8'))`);
    expect(sql).toContain('m.migration_id = $5 AND m.token = $6::bigint');
    expect(batchWriteSql(target, 7, { fenced: false })).not.toContain('leases');
    const versioned = batchWriteSql(target, 7, { fenced: true, versioned: true });
    expect(versioned).toContain('$5::xid[]) AS i(k0, k1, hash, embedding, version)');
    expect(versioned).toContain('m.migration_id = $6 AND m.token = $7::bigint');
  });

  it('reads windows by keyset in row form', () => {
    const options = { modelId: 7, migrationId: 'a', skipQuarantined: false };
    expect(readWindowSql(target, { ...options, afterCursor: true })).toContain(
      '(t."tenant", t."Id") > ($1::text::uuid, $2::text::bigint)',
    );
    expect(readWindowSql(target, { ...options, afterCursor: false })).not.toContain('$3');
  });

  it('calls pending what another model made, and after the swap only what is missing', () => {
    expect(pendingSql(target, 't', 7)).toContain('t."embedding_384_model" IS DISTINCT FROM 7');
    expect(pendingSql({ ...target, onlyMissing: true }, 't', 7)).toContain('t."embedding_384" IS NULL');
  });

  it('names the trigger so that it fires after the table’s own', () => {
    expect(triggerName('segments-bge')).toBe('zzz_reembed_segments-bge');
    const statements = createTriggerSql(target, 'segments-bge', { always: true });
    expect(statements.join('\n')).toContain('SET search_path = pg_catalog, pg_temp');
    expect(statements.at(-1)).toContain('ENABLE ALWAYS TRIGGER');
  });
});

describe('identifiers and literals', () => {
  it('quotes what needs quoting', () => {
    expect(quoteIdentifier('a"b')).toBe('"a""b"');
    expect(['app_1', 'My-app', 'a"b'].map(shownIdentifier)).toEqual(['app_1', '"My-app"', '"a""b"']);
    expect(() => quoteIdentifier('a\u0000b')).toThrow(RangeError);
    expect(quoteLiteral(`it's`)).toBe(`'it''s'`);
    expect(quoteLiteral('a\\b')).toBe(`E'a\\\\b'`);
  });

  it('fits names into 63 bytes without making two the same', () => {
    const long = 'x'.repeat(62);
    const [a, b] = [fitIdentifier(`${long}a`, '_old'), fitIdentifier(`${long}b`, '_old')];
    expect(a).not.toBe(b);
    expect(Buffer.byteLength(a)).toBeLessThanOrEqual(63);
    expect(a.endsWith('_old')).toBe(true);
    expect(Buffer.byteLength(fitIdentifier('é'.repeat(40), '_old'))).toBeLessThanOrEqual(63);
  });
});
