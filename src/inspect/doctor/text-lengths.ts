import type { Queryable } from '../../db/types.ts';
import { ModelError } from '../../errors.ts';
import { readModelConfig } from '../../models/model-config.ts';
import { resolveModelFiles } from '../../models/model-files.ts';
import { loadTokenizer } from '../../models/tokenizer.ts';
import { servedMaxTokens } from '../../providers/remote/served-model.ts';
import { keyJsonSql } from '../../sql/pending.ts';
import { afterCursorSql } from '../../sql/read-window.ts';
import { tableSql, type VectorTarget } from '../../sql/target.ts';
import { textSql } from '../../sql/text-source.ts';
import { warningFinding } from '../finding.ts';
import { describeKeys, keyListSql, keyOf, orderSql } from '../stored-vectors.ts';
import { type Examined, type Look, seen, unseen } from './look.ts';
import { sampleRows, scopeOf } from './sample.ts';
import { textOf, textTarget } from './texts.ts';

/** How long a text may be, and which of some texts are longer. */
interface TextLimit {
  readonly maxTokens: number;
  /** Texts of so many bytes at most are never too long. */
  readonly safeBytes: number;
  readonly isEstimate: boolean;
  /** Characters of a text that have to be read for it. */
  readonly readCharacters: number;
  tooLong(texts: readonly string[]): Promise<readonly boolean[]>;
}

/** English text; other languages have fewer. */
const BYTES_PER_TOKEN = 4;
/** More characters than any model reads need not be read to see that they are too many. */
const READ_CHARACTERS = 200_000;
const WINDOW_ROWS = 200;

/**
 * Texts that the model will cut: by its own tokenizer where that lies here, else by their bytes.
 *
 * @param maxTokens what the provider says of itself, where it was asked; else the model's card counts
 */
export async function lookAtTextLengths(
  examined: Examined,
  tx: Queryable,
  maxTokens: number | undefined,
): Promise<Look> {
  const { provider, model } = examined.ctx.definition;
  const target = textTarget(examined);
  if (target === undefined) return unseen('there is no text column to look at');
  if (provider === 'hash' || provider === 'file') return seen(`the provider ${provider} has no limit`);
  const limit = provider === 'local' ? await localLimit(examined) : estimatedLimit(maxTokens ?? servedMaxTokens(model));
  if (typeof limit === 'string') return unseen(limit);
  const { rows, keys } = await findTooLong(examined, tx, target, limit);
  const scope = scopeOf(examined, rows, 'text');
  const by = limit.isEstimate ? ` by an estimate of ${BYTES_PER_TOKEN} bytes a token` : '';
  const detail = `${scope.replace(/^of /, '')}, ${model} reads ${limit.maxTokens} tokens${by}`;
  if (keys.length === 0) return seen(detail);
  return seen(detail, [
    warningFinding(
      'texts_too_long',
      `${keys.length} ${scope} in ${textOf(target)} are longer than the ${limit.maxTokens} tokens that ${model} reads${by}: ${describeKeys(keys)}.`,
      'Cut these texts into passages of their own rows, or choose a model that reads more.',
    ),
  ]);
}

async function localLimit({ ctx }: Examined): Promise<TextLimit | string> {
  const { dtype, modelsDir } = ctx.runtime;
  try {
    const files = await resolveModelFiles(ctx.definition.model, { dtype, modelsDir });
    const config = await readModelConfig(files);
    const tokenizer = await loadTokenizer(files.directory, config);
    const prefix = config.prefixes.document;
    const special = (await tokenizer.tokenize([`${prefix}`])).at(0)?.ids.length ?? 0;
    return {
      maxTokens: config.maxTokens,
      // A token stands for one byte at least, those of the prefix and the special ones excepted.
      safeBytes: Math.max(0, config.maxTokens - special),
      isEstimate: false,
      readCharacters: READ_CHARACTERS,
      tooLong: async (texts) =>
        (await tokenizer.tokenize(texts.map((text) => prefix + text))).map((text) => text.truncated),
    };
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    return `the tokenizer cannot be used: ${error.message}`;
  }
}

function estimatedLimit(maxTokens: number | undefined): TextLimit | string {
  if (maxTokens === undefined) return 'how many tokens the model reads is not known';
  const safeBytes = maxTokens * BYTES_PER_TOKEN;
  const tooLong: TextLimit['tooLong'] = async (texts) => texts.map(() => true);
  return { maxTokens, safeBytes, isEstimate: true, readCharacters: 0, tooLong };
}

async function findTooLong(
  examined: Examined,
  tx: Queryable,
  target: VectorTarget,
  limit: TextLimit,
): Promise<{ rows: number; keys: string[][] }> {
  const keys: string[][] = [];
  for await (const window of examined.full
    ? allCandidates(tx, target, limit)
    : sampleCandidates(examined, tx, target, limit)) {
    const verdicts = await limit.tooLong(window.map((row) => row.text));
    window.forEach((row, i) => {
      if (verdicts[i] === true) keys.push(row.key);
    });
  }
  return { rows: await countRows(examined, tx, target), keys };
}

interface Candidate {
  readonly key: string[];
  readonly text: string;
}

async function countRows(examined: Examined, tx: Queryable, target: VectorTarget): Promise<number> {
  const sample = await sampleRows(tx, examined, target, hasText(target));
  const { rows } = await tx.query<{ n: number }>(
    `SELECT pg_catalog.count(*)::float8 AS n FROM ${sample.sql}`,
    sample.params,
  );
  return rows[0]?.n ?? 0;
}

async function* sampleCandidates(
  examined: Examined,
  tx: Queryable,
  target: VectorTarget,
  limit: TextLimit,
): AsyncGenerator<Candidate[]> {
  const sample = await sampleRows(tx, examined, target, hasText(target));
  const text = `${textSql(target.text, 't')}::text`;
  const { rows } = await tx.query<{ key: string[]; text: string }>(
    `SELECT ${keyJsonSql(target, 't')} AS key, pg_catalog.left(${text}, ${limit.readCharacters}) AS text FROM ${sample.sql}
     WHERE pg_catalog.octet_length(${text}) > ${limit.safeBytes} ORDER BY ${orderSql(target)}`,
    sample.params,
  );
  for (let start = 0; start < rows.length; start += WINDOW_ROWS) yield rows.slice(start, start + WINDOW_ROWS);
}

/** In key order, window after window: a whole table of long texts does not fit into memory. */
async function* allCandidates(tx: Queryable, target: VectorTarget, limit: TextLimit): AsyncGenerator<Candidate[]> {
  const text = `${textSql(target.text, 't')}::text`;
  let cursor: readonly string[] | undefined;
  for (;;) {
    const after = cursor === undefined ? '' : `${afterCursorSql(target)} AND `;
    const { rows } = await tx.query<Record<string, unknown>>(
      `SELECT ${keyListSql(target, 't')}, pg_catalog.left(${text}, ${limit.readCharacters}) AS text FROM ${tableSql(target)} t
       WHERE ${after}pg_catalog.octet_length(${text}) > ${limit.safeBytes} ORDER BY ${orderSql(target)} LIMIT ${WINDOW_ROWS}`,
      cursor ?? [],
    );
    const window = rows.map((row) => ({ key: keyOf(target, row), text: String(row.text) }));
    cursor = window.at(-1)?.key;
    if (cursor === undefined) return;
    yield window;
  }
}

function hasText(target: VectorTarget): string {
  return `${textSql(target.text, 't')} IS NOT NULL`;
}
