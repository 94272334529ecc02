import { openRecordedAdapter, type RecordedAdapter } from '../adapters/recorded-adapter.ts';
import { count } from '../amounts.ts';
import { messageOf } from '../errors.ts';
import { plural } from '../plural.ts';
import type { EmbeddingProvider } from '../providers/types.ts';
import { type MigrationContext, throwIfStopped } from '../state/context.ts';
import { oldVectorTarget, type ResolvedMigration } from '../state/resolve.ts';
import { measureNearness, type Nearness } from './adapted-nearness.ts';
import type { Mismatch } from './compare-again.ts';
import { type MappedVectors, mapAgain } from './map-again.ts';
import { describeKeys } from './stored-vectors.ts';
import { round, type VerifyCheck } from './verify-checks.ts';

/** What `verify` says of rows that an adapter filled. */
export interface VerifiedAdapter {
  /** `adapted:<id>`. */
  readonly adapter: string;
  readonly rows: number;
  /** Null where nobody could map them again. */
  readonly mapped: MappedVectors | null;
  /** Rows whose vector is not what the adapter makes of their old one, the first 100. */
  readonly mismatches: readonly Mismatch[];
  /** Beside the model's own vectors of the same texts; null where the model was not at hand. */
  readonly nearness: Nearness | null;
}

export interface VerifyAdaptedOptions {
  readonly rows: number;
  /** Undefined compares every row. */
  readonly sampleSize: number | undefined;
  readonly seed: number;
  /** Undefined where the model is not to be opened for this. */
  readonly provider: (() => Promise<EmbeddingProvider>) | undefined;
}

const AGAIN = 'mapped again';

/** Maps old vectors again and compares; with the model at hand it also says how near the mapped vectors are to real ones. */
export async function verifyAdapted(
  ctx: MigrationContext,
  resolved: ResolvedMigration,
  recorded: RecordedAdapter,
  options: VerifyAdaptedOptions,
): Promise<{ readonly adapted: VerifiedAdapter; readonly checks: readonly VerifyCheck[] }> {
  const { provider } = options;
  const again = await mapRecorded(ctx, resolved, recorded, options);
  throwIfStopped(ctx, 'inspect');
  const near = provider === undefined ? undefined : await nearness(ctx, resolved, { seed: options.seed, provider });
  const { mapped = null, mismatches = [] } = again;
  return {
    adapted: { adapter: recorded.name, rows: options.rows, mapped, mismatches, nearness: near?.found ?? null },
    checks: [again.check, ...(near === undefined ? [] : [near.check])],
  };
}

interface MappedAgain {
  readonly check: VerifyCheck;
  readonly mapped?: MappedVectors;
  readonly mismatches?: readonly Mismatch[];
}

async function mapRecorded(
  ctx: MigrationContext,
  { record, table, extension, target }: ResolvedMigration,
  recorded: RecordedAdapter,
  { rows, sampleSize, seed }: VerifyAdaptedOptions,
): Promise<MappedAgain> {
  const old = oldVectorTarget(record, table, extension, ctx.runtime.stateSchema);
  if (old === undefined) {
    return { check: unknown(`the old column is gone, ${count(rows, 'row')} cannot be mapped again`) };
  }
  const opened = await openRecordedAdapter(ctx.runtime, recorded);
  if ('problem' in opened) return { check: unknown(opened.problem) };
  const { adapter } = opened;
  try {
    const result = await mapAgain(ctx, target, { old, adapter, sampleSize, seed });
    return { ...result, check: mappedCheck(recorded, result, sampleSize === undefined) };
  } finally {
    await adapter.close();
  }
}

function unknown(why: string): VerifyCheck {
  return { name: AGAIN, ok: false, unknown: true, detail: `not looked at: ${why}` };
}

function mappedCheck(
  { name: adapter }: RecordedAdapter,
  { mapped, mismatches }: Required<Pick<MappedAgain, 'mapped' | 'mismatches'>>,
  full: boolean,
): VerifyCheck {
  const { rows, below, withoutOld, limit } = mapped;
  const which = full ? `${count(rows, 'row')}, all of them` : `${rows} random ${plural(rows, 'row')}`;
  const scope = `${which} by ${adapter}: cosine min ${round(mapped.minCosine)}, mean ${round(mapped.meanCosine)}, limit ${limit}`;
  if (below === 0) return { name: AGAIN, ok: true, detail: scope };
  const keys = describeKeys(mismatches.map(({ key }) => key));
  const without = withoutOld === 0 ? '' : `, ${withoutOld} of them without an old vector`;
  return { name: AGAIN, ok: false, detail: `${scope}; ${below} below it${without}: ${keys}` };
}

/** An information, so that a model that cannot be opened is said and nothing more. */
async function nearness(
  ctx: MigrationContext,
  { target }: ResolvedMigration,
  options: { readonly seed: number; readonly provider: () => Promise<EmbeddingProvider> },
): Promise<{ readonly found: Nearness | undefined; readonly check: VerifyCheck }> {
  const name = 'adapted and real';
  try {
    const found = await measureNearness(ctx, target, options);
    const detail =
      found === undefined
        ? 'no adapted row has a text to compare by'
        : `${count(found.rows, 'text')}: cosine mean ${round(found.meanCosine)}, 5% lie under ${round(found.p5Cosine)} (for information)`;
    return { found, check: { name, ok: true, detail } };
  } catch (error) {
    throwIfStopped(ctx, 'inspect');
    return { found: undefined, check: { name, ok: true, detail: `the model was not asked: ${messageOf(error)}` } };
  }
}
