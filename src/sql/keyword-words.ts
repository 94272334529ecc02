import { fitIdentifier, quoteIdentifier, quoteLiteral } from './identifiers.ts';
import { bareSql, type TextSource, textSql } from './text-source.ts';

/**
 * So much of a text is indexed and counted. A tsvector holds 1 MB and Postgres refuses what makes more: without a bound an application's
 * write of a huge text would fail for the index's sake. The positions of a tsvector end at about as many words (16,383) anyway.
 */
export const INDEXED_CHARACTERS = 100_000;

/** The words of a row `alias` as a tsvector; `language` is a text search configuration, qualified and quoted. */
export function wordsSql(language: string, text: TextSource, alias: string): string {
  return wordsOf(language, textSql(text, alias));
}

/** The same over the table's bare columns, as the key of an index. */
export function wordsKeySql(language: string, text: TextSource): string {
  return `(${wordsOf(language, typeof text === 'string' ? quoteIdentifier(text) : `(${bareSql(text)})`)})`;
}

function wordsOf(language: string, text: string): string {
  return (
    `pg_catalog.to_tsvector(${quoteLiteral(language)}::pg_catalog.regconfig, ` +
    `pg_catalog."left"((${text})::pg_catalog.text, ${INDEXED_CHARACTERS}))`
  );
}

/** The text form of a tsquery for one lexeme as it stands in a tsvector: nothing in it is an operator. */
export function lexemeQuery(lexeme: string): string {
  return `'${lexeme.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}

/** The name of a migration's index over words in a language: another language is another index, which is built beside the first. */
export function wordsIndexName(migrationId: string, language: string): string {
  return fitIdentifier(
    `${wordsIndexPrefix(migrationId)}${language
      .replaceAll('"', '')
      .replace(/^pg_catalog\./, '')
      .replaceAll('.', '_')}`,
    '',
  );
}

/** Ids hold no underscore, so that no other migration's indexes begin so. */
export function wordsIndexPrefix(migrationId: string): string {
  return `reembed_words_${migrationId}_`;
}
