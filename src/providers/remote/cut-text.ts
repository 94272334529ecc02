import { estimateTokens } from './estimate-tokens.ts';

/** How OpenAI and vLLM say that a text is too long: the most that the model takes and, not always, what was sent, in tokens. */
const TOO_LONG = /maximum context length is (\d+) tokens(?:\D+requested (\d+) tokens)?/i;
/** Tokens are not spread evenly over a text; what is cut a little shorter mostly passes at once. */
const MARGIN = 0.98;
/** Where it is not said how much too long a text is, and the estimate would not have it too long at all. */
const LEAST_EXCESS = 1.1;

/**
 * The beginning of `text` that a model should take which refused it with `message`; undefined where the refusal is about something else.
 * Always shorter than `text`, and the same for the same refusal.
 */
export function cutText(text: string, message: string): string | undefined {
  const match = TOO_LONG.exec(message);
  if (match === null) return undefined;
  const most = Number(match[1]);
  const sent = match[2] === undefined ? Math.max(estimateTokens(text), most * LEAST_EXCESS) : Number(match[2]);
  const share = Math.min(1, most / sent) * MARGIN;
  // Half of a surrogate pair is no character.
  const shorter = text.slice(0, Math.floor(text.length * share)).replace(/[\ud800-\udbff]$/, '');
  return shorter === '' ? undefined : shorter;
}
