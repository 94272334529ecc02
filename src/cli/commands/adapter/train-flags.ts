import { resolve } from 'node:path';
import type { Argv } from 'yargs';
import { PROJECTION_KINDS } from '../../../adapters/kinds.ts';
import { providerOf } from '../../../config/define-migration.ts';
import { knownDimensions } from '../../../config/known-dimensions.ts';
import { PROVIDERS } from '../../../config/provider-names.ts';
import type { ModelReference, ProviderName } from '../../../config/types.ts';
import { ConfigError } from '../../../errors.ts';
import { amount } from '../../amount.ts';
import { type GlobalFlags, migrationFlags } from '../../command.ts';
import { wholeNumber } from '../../whole-number.ts';

/** `adapted` is a way to fill a column, no model that embeds a text. */
const EMBEDDING = PROVIDERS.filter((name) => name !== 'adapted');
const DEVICES = ['auto', 'cpu', 'cuda', 'webgpu'] as const;

/** The flags of `reembed adapter train`. */
export function trainFlags(yargs: Argv<GlobalFlags>) {
  return modelFlags(sampleFlags(migrationFlags(yargs))).conflicts({
    'text-file': ['queries', 'known-item', 'config', 'migration'],
  });
}

/** As parsed. */
export type TrainFlags = Awaited<ReturnType<typeof trainFlags>['argv']>;

function sampleFlags<T>(yargs: Argv<T>) {
  const text = { type: 'string', requiresArg: true } as const;
  return yargs
    .option('kind', {
      choices: ['auto', ...PROJECTION_KINDS],
      default: 'auto',
      requiresArg: true,
      describe: 'How the map is found; auto tries all and takes what finds most',
    } as const)
    .option('direction', {
      choices: ['document', 'query'],
      default: 'document',
      requiresArg: true,
      describe: "document maps stored vectors to the new space, query the new model's queries to the old one",
    } as const)
    .option('samples', {
      ...text,
      coerce: wholeNumber('samples', 100),
      describe: 'Pairs to learn from',
      defaultDescription: '1000',
    })
    .option('holdout', {
      ...text,
      coerce: wholeNumber('holdout', 50),
      describe: 'Pairs to measure on, on top',
      defaultDescription: 'a quarter of the samples, 200 to 500',
    })
    .option('queries', { ...text, describe: 'A .jsonl of { query, relevant } to measure by' })
    .option('known-item', {
      ...text,
      describe: 'A column whose text has to find its own row; "text": the first sentence',
      defaultDescription: "else the row's own text",
    })
    .conflicts('queries', 'known-item')
    .option('min-retention', {
      ...text,
      coerce: amount('min-retention', 0, 1),
      describe: 'Register nothing that keeps less of the Recall@10 of real vectors, e.g. 0.9',
    })
    .option('seed', {
      ...text,
      coerce: wholeNumber('seed', 0),
      describe: 'Draws, cuts and trains',
      defaultDescription: '1',
    })
    .option('output-dir', {
      ...text,
      alias: 'dir',
      coerce: (dir: unknown) => (dir === undefined ? undefined : resolve(String(dir))),
      describe: 'The registry',
      defaultDescription: 'REEMBED_PROJECTIONS_DIR, projections',
    });
}

function modelFlags<T>(yargs: Argv<T>) {
  const text = { type: 'string', requiresArg: true } as const;
  const provider = { choices: EMBEDDING, requiresArg: true } as const;
  const dimensions = (name: string) => ({ ...text, coerce: wholeNumber(name, 1) }) as const;
  return yargs
    .option('text-file', {
      ...text,
      describe: 'Learn from these texts, without a database: JSON lines with text and title, or a text a line',
    })
    .option('source-provider', {
      ...provider,
      describe: 'The old model',
      defaultDescription: '"from" of reembed.config',
    })
    .option('source-model', text)
    .option('source-dimensions', dimensions('source-dimensions'))
    .option('target-provider', { ...provider, describe: 'The new model', defaultDescription: 'that of reembed.config' })
    .option('target-model', text)
    .option('target-dimensions', dimensions('target-dimensions'))
    .option('device', {
      choices: DEVICES,
      requiresArg: true,
      describe: 'Where a model runs',
      defaultDescription: 'EMBEDDING_DEVICE',
    } as const);
}

/**
 * A model of the flags; undefined where none of its flags is there.
 *
 * @throws ConfigError `usage` where its name or its dimensions are missing
 */
export function flaggedModel(
  side: 'source' | 'target',
  given: {
    readonly provider: ProviderName | undefined;
    readonly model: string | undefined;
    readonly dimensions: number | undefined;
  },
): ModelReference | undefined {
  const { provider, model } = given;
  if (model === undefined) {
    if (provider === undefined && given.dimensions === undefined) return undefined;
    throw usage(`--${side}-model is missing beside the other flags of that model.`);
  }
  const dimensions = given.dimensions ?? knownDimensions(model);
  if (dimensions === undefined) throw usage(`--${side}-dimensions is missing: nobody knows those of ${model}.`);
  return { provider: provider ?? providerOf(model), model, dimensions };
}

export function usage(message: string): ConfigError {
  return new ConfigError('usage', message, {
    step: 'configuration',
    hint: 'Run "reembed adapter train --help".',
  });
}
