import { usd } from '../amounts.ts';
import { loadRuntimeSettings } from '../config/runtime.ts';
import type { MigrationDefinition } from '../config/types.ts';
import { ConfigError } from '../errors.ts';
import type { Cli, ExitCode } from './command.ts';
import type { PlanFlags } from './plan-flags.ts';
import { withMigration } from './with-migration.ts';

/** Tokens of a document unless it is said: a page or two. */
const TOKENS_PER_ROW = 1000;

/** What embedding costs, and how that is known. */
interface ApiCost {
  readonly documents: number;
  readonly apiUsd: number;
  readonly apiFrom: string;
}

/** `reembed plan --roi`: whether it pays. With `--rows` from arithmetic alone, else from the table. */
export async function reportRoi(flags: PlanFlags, cli: Cli): Promise<ExitCode> {
  const { reckonRoi } = await import('../plan/roi.ts');
  const { roiMarkdown, roiText } = await import('../reports/roi-report.ts');
  const { queriesPerMonth = 0, recallBefore = 0, recallAfter = 0, valuePerQuery = 0, hours = 0, rate = 0 } = flags;
  const report = reckonRoi({
    ...(flags.rows === undefined ? await costOfTable(flags, cli) : await costOfRows(flags.rows, flags, cli)),
    computeUsd: flags.computeUsd ?? 0,
    downtimeUsd: flags.downtimeUsd ?? 0,
    hours,
    hourlyRateUsd: rate,
    queriesPerMonth,
    recallBefore,
    recallAfter,
    valuePerQueryUsd: valuePerQuery,
  });
  cli.output.result(report, flags.markdown ? roiMarkdown(report) : roiText(report));
  return 0;
}

async function costOfTable(flags: PlanFlags, cli: Cli): Promise<ApiCost> {
  const { planMigration } = await import('../steps/plan-migration.ts');
  const { cost, texts, rows, model } = await withMigration(flags, cli, (ctx) =>
    planMigration(ctx, { price: flags.price }),
  );
  if (cost.usd === undefined || cost.price === undefined) throw priceMissing(model);
  const tokens = Math.round(texts?.tokens.value ?? 0).toLocaleString('en-US');
  const apiFrom = `about ${tokens} tokens by a sample of the table, at ${usd(cost.price.usdPerMillionTokens)} a million (${cost.price.source})`;
  return { documents: Math.round(texts?.texts.value ?? rows), apiUsd: cost.usd.value, apiFrom };
}

async function costOfRows(documents: number, flags: PlanFlags, cli: Cli): Promise<ApiCost> {
  const { apiCost } = await import('../plan/roi.ts');
  const { choosePrice } = await import('../plan/plan-cost.ts');
  const definition = await findDefinition(flags, cli);
  const { remote } = loadRuntimeSettings(undefined, cli.cwd);
  const reference = definition ?? { provider: 'openai' as const, model: 'the model' };
  const price = choosePrice(reference, { flag: flags.price, env: remote.usdPerMillionTokens });
  if (price === undefined) throw priceMissing(reference.model);
  const tokens = flags.tokensPerRow ?? TOKENS_PER_ROW;
  const apiFrom = `${tokens.toLocaleString('en-US')} tokens each (--tokens-per-row), at ${usd(price.usdPerMillionTokens)} a million (${price.source})`;
  return { documents, apiUsd: apiCost(documents, tokens, price.usdPerMillionTokens), apiFrom };
}

/** Where there is no configuration yet, `--price` says enough. */
async function findDefinition(
  { config, migration }: PlanFlags,
  { cwd }: Cli,
): Promise<MigrationDefinition | undefined> {
  const { loadConfig } = await import('../config/load-config.ts');
  try {
    return (await loadConfig({ cwd, file: config, migrationId: migration })).selected;
  } catch (error) {
    if (error instanceof ConfigError && error.code === 'config_missing' && config === undefined) return undefined;
    throw error;
  }
}

function priceMissing(model: string): ConfigError {
  return new ConfigError('price_unknown', `What a million tokens of ${model} cost is not known here.`, {
    step: 'configuration',
    hint: 'Add --price with US dollars a million tokens (0 for a model on your own machine), or set EMBEDDING_PRICE.',
  });
}
