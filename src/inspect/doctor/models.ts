import { type Finding, warningFinding } from '../finding.ts';
import { type Examined, type Look, seen } from './look.ts';
import { oldDimensions } from './old-size.ts';

/** What is configured about the two models, against the sizes that are there. */
export function lookAtModels(examined: Examined): Look {
  const { definition } = examined.ctx;
  const old = oldDimensions(examined);
  const { from, model, dimensions } = definition;
  const findings: Finding[] = [];
  const isSameModel = from?.model === model && from.provider === definition.provider;
  if (old === dimensions && !isSameModel) {
    findings.push(
      warningFinding(
        'same_size_models',
        `The old vectors${from === undefined ? '' : ` (${from.model})`} have ${dimensions} dimensions, as those of ${model} have: they must never be in one column or compared.`,
        'Let every writer and every reader take the model from withActiveModel, and change them over with the swap.',
      ),
    );
  }
  if (from !== undefined && old !== undefined && from.dimensions !== old) {
    findings.push(
      warningFinding(
        'old_model_dimensions',
        `"from" says that ${from.model} makes ${from.dimensions} dimensions, the old vectors have ${old}.`,
        'Correct "from" in reembed.config.ts (or EMBEDDING_OLD_MODEL and EMBEDDING_OLD_DIMENSIONS).',
      ),
    );
  }
  return seen(
    `from ${from?.model ?? 'a model that is not configured'} (${old ?? 'unknown'}) to ${model} (${dimensions})`,
    findings,
  );
}
