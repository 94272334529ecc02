import { ProviderError } from '../../errors.ts';
import { fieldsOf } from './json-fields.ts';

/**
 * One score a text, in the texts' order, out of TEI's list of `{ index, score }`, whose order is its own.
 * @throws ProviderError `answer_not_understood`, `wrong_cardinality`, `score_not_finite`: an answer that miscounts is not trusted at all
 */
export function readScores(json: unknown, count: number, url: string): readonly number[] {
  if (!Array.isArray(json)) throw refused('answer_not_understood', `${url} answered 200 without a list of scores.`);
  if (json.length !== count) throw miscounted(`${json.length} scores for ${count} texts`, url);
  const scores: number[] = new Array(count);
  for (const entry of json) {
    const { index, score } = fieldsOf(entry);
    if (typeof index !== 'number' || !Number.isInteger(index) || index < 0 || index >= count) {
      throw miscounted(`a score with index ${JSON.stringify(index) ?? 'none'} for ${count} texts`, url);
    }
    if (index in scores) throw miscounted(`two scores with index ${index} for ${count} texts`, url);
    // null must not become 0: it is how JSON writes NaN.
    if (typeof score !== 'number' || !Number.isFinite(score)) throw notFinite(score, index, url);
    scores[index] = score;
  }
  return scores;
}

function miscounted(observed: string, url: string): ProviderError {
  return refused('wrong_cardinality', `${url} answered ${observed}, expected one score for each.`);
}

function notFinite(score: unknown, index: number, url: string): ProviderError {
  const observed = score === null ? 'null (NaN in JSON)' : (JSON.stringify(score) ?? 'nothing');
  return refused('score_not_finite', `${url} answered ${observed} as the score of text ${index}, expected a number.`);
}

function refused(code: string, message: string): ProviderError {
  return new ProviderError(code, message, {
    retryable: false,
    scope: 'service',
    hint: 'Nothing of the answer was used. Check RERANK_BASE_URL: it must be a TEI server with a reranker; a proxy before it may alter answers.',
  });
}
