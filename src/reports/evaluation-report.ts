import { count, number } from '../amounts.ts';
import type { EvaluationResult, SideComparison } from '../evaluate/types.ts';
import { plural } from '../plural.ts';
import { type Block, markdownOfBlocks, textOfBlocks } from './document.ts';
import { checkBlocks, comparisonBlocks, exampleBlocks, sideBlocks, signed, sliceBlocks } from './evaluation-tables.ts';

/** The verdict in one sentence, with its numbers. */
export function verdictSentence(result: EvaluationResult): string {
  const comparison = result.comparisons.at(-1);
  const difference = comparison?.recallAt10;
  const failed = result.checks.filter(({ level }) => level === 'fail').length;
  if (comparison === undefined || difference === undefined) {
    if (failed > 0)
      return `NO-GO: ${count(failed, 'check')} ${plural(failed, 'fails', 'fail')}, and no query says which rows answer it.`;
    return 'INCONCLUSIVE: no query says which rows answer it, so that only the agreement of both sides was measured.';
  }
  const name = result.verdict.toUpperCase();
  const reranker = result.sides.at(-1)?.reranker;
  const measure = reranker === undefined ? 'Recall@10' : `Recall@10 behind the reranker ${reranker.name}`;
  const change = `${measure} changes by ${signed(difference.mean)}, with 95% confidence by ${signed(difference.low)} to ${signed(difference.high)}`;
  if (result.verdict !== comparison.verdict)
    return `${name}: ${change}, but ${count(failed, 'check')} ${plural(failed, 'fails', 'fail')}.`;
  return `${name}: ${change}; ${reasonOf(comparison)}.`;
}

function reasonOf({ verdict, criterion, moreQueries, recallAt10 }: SideComparison): string {
  const limit = Math.abs(criterion.limit).toFixed(3);
  const asked = criterion.kind === 'better' ? `a gain of more than ${limit}` : `no loss of more than ${limit}`;
  if (verdict === 'go') return asked;
  if (verdict === 'no-go') return `asked was ${asked}`;
  const all = number((recallAt10?.queries ?? 0) + (moreQueries ?? 0));
  if (moreQueries === null)
    return `asked was ${asked}, and the difference lies on that limit: more queries will hardly settle it`;
  return `asked was ${asked}, and about ${number(moreQueries)} more queries (${all} in all) would settle it if they come out like these`;
}

/** All that a report says, most important first. */
export function evaluationBlocks(result: EvaluationResult): Block[] {
  return [
    { kind: 'paragraph', text: verdictSentence(result) },
    { kind: 'list', items: whatWasAsked(result) },
    ...sideBlocks(result),
    ...comparisonBlocks(result),
    ...sliceBlocks(result),
    ...exampleBlocks(result),
    ...checkBlocks(result),
  ];
}

/** Which rows and queries took part, and what was left out. */
export function whatWasAsked({ queries, rows, sides, seed }: EvaluationResult): string[] {
  const { labelled, used, found, repeated, withoutRow, unknownKeys, ambiguous } = queries;
  const sampled = used + withoutRow + repeated < found ? `, drawn from ${number(found)}` : '';
  const known = labelled === used ? 'all with known answers' : `${number(labelled)} with known answers`;
  const items = [`${count(used, 'query', 'queries')} (${queries.source}), ${known}${sampled}; seed ${seed}`];
  const columns = [...new Set(sides.map(({ column }) => column))];
  if (rows.restricted) {
    const each = columns.map((column, i) => `${number(rows.sides[i] ?? 0)} in ${column}`).join(', ');
    items.push(
      `only the ${count(rows.common, 'row')} that every side has a vector for were searched (${each}, ${count(rows.total, 'row')} in all): both sides see the same rows`,
    );
  } else items.push(`${count(rows.common, 'row')} with both vectors`);
  if (repeated > 0) items.push(`${count(repeated, 'repeated line')} left out`);
  if (withoutRow > 0)
    items.push(`${count(withoutRow, 'query', 'queries')} left out: no relevant row has a vector on every side`);
  if (unknownKeys > 0) items.push(`${count(unknownKeys, 'relevant key')} not found in the table`);
  if (ambiguous > 0) items.push(`${count(ambiguous, 'value')} left out that more than 10 rows share`);
  return items;
}

/** For the terminal. */
export function evaluationText(result: EvaluationResult): string {
  return textOfBlocks(evaluationBlocks(result));
}

export function evaluationMarkdown(result: EvaluationResult): string {
  return `# Evaluation of ${result.migration}\n\n${markdownOfBlocks([...evaluationBlocks(result), madeBlock(result)])}\n`;
}

/** When it was made, and on what. */
export function madeBlock({ table, at }: EvaluationResult): Block {
  return { kind: 'paragraph', text: `${table}, as it was at ${at}.` };
}
