import type { CustomTypesConfig } from 'pg';

// Own parsers for every query, because pg's are global: an application that parses bigint into a number would round our keys.
// OIDs from pg_type.dat; they are the same in every Postgres.
const BOOL = 16;
const BYTEA = 17;
const INT2 = 21;
const INT4 = 23;
const OID = 26;
const JSON_OID = 114;
const FLOAT4 = 700;
const FLOAT8 = 701;
const JSONB = 3802;

function parse(oid: number, value: string): unknown {
  switch (oid) {
    case BOOL:
      return value === 't';
    case BYTEA:
      return Buffer.from(value.slice(2), 'hex');
    case INT2:
    case INT4:
    case OID:
    case FLOAT4:
    case FLOAT8:
      return Number(value);
    case JSON_OID:
    case JSONB:
      return JSON.parse(value);
    default:
      return value;
  }
}

/** bool, bytea (hex output), small integers, floats and json are parsed; bigint, numeric, timestamps and all else stay text. */
export const typeParsers: CustomTypesConfig = {
  getTypeParser: ((oid: number) => (value: string) => parse(oid, value)) as CustomTypesConfig['getTypeParser'],
};
