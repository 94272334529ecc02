import { BusyError } from '../errors.ts';
import type { Walked } from './types.ts';
import { FEW_ROWS } from './walk.ts';

/** Walks over which pending rows must have become fewer. */
const WALKS = 5;
/** What counts as fewer: less than so much of what the first of them met. */
const SHRINKS_BELOW = 0.9;

interface Look {
  readonly rows: number;
  readonly progressed: number;
  readonly seconds: number;
}

/**
 * Ends a catch-up that cannot end by itself: when five walks in turn met more than 500 pending rows, embedded most of them, and the last met
 * about as many as the first. What a walk meets is what was written during the one before it, which gives both rates.
 *
 * @param table and `model` as a person writes them
 * @returns what `BackfillJob.afterWalk` takes; throws BusyError `cannot_settle` with both rates and what each walk met
 */
export function refuseUnsettled(
  table: string,
  model: string,
  now: () => number = () => performance.now(),
): (walked: Pick<Walked, 'rows' | 'progressed'>) => void {
  let looks: Look[] = [];
  let began = now();
  return ({ rows, progressed }) => {
    const ended = now();
    const steady = rows > FEW_ROWS && progressed * 2 >= rows;
    looks = steady ? [...looks, { rows, progressed, seconds: Math.max(0.001, (ended - began) / 1000) }] : [];
    began = ended;
    // The first of a series may have met what was left of the backfill itself.
    const [, first, ...others] = looks;
    const last = others.at(-1);
    if (first === undefined || last === undefined || others.length < WALKS - 1) return;
    if (last.rows < first.rows * SHRINKS_BELOW) looks = looks.slice(1);
    else throw cannotSettle(table, model, looks.slice(-WALKS), looks.at(-WALKS - 1));
  };
}

function cannotSettle(table: string, model: string, looks: readonly Look[], before: Look | undefined): BusyError {
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  const spent = [...(before === undefined ? [] : [before]), ...looks.slice(0, -1)];
  const written = sum(looks.map(({ rows }) => rows)) / sum(spent.map(({ seconds }) => seconds));
  const embedded = sum(looks.map((look) => look.progressed)) / sum(looks.map(({ seconds }) => seconds));
  const met = looks.map(({ rows }) => rows);
  return new BusyError(
    'cannot_settle',
    `${table} does not settle: walk after walk met ${met.join(', ')} pending rows, where at most ${FEW_ROWS} may be left. The application writes about ${rate(written)} rows/s, ${model} embeds about ${rate(embedded)} rows/s. Nothing was exchanged.`,
    {
      step: 'cut-over',
      hint: 'Pause bulk writers or wait for a quieter hour and run the same command again; or give the model more (EMBEDDING_THREADS, EMBEDDING_DEVICE, EMBEDDING_MAX_REQUESTS).',
      context: { pending: met, writtenPerSecond: written, embeddedPerSecond: embedded },
    },
  );
}

function rate(value: number): string {
  return value >= 10 ? String(Math.round(value)) : value.toFixed(1);
}
