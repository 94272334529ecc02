import type { Random } from '../../helpers/fault-random.ts';
import type { Connection } from './application.ts';

interface Hit {
  readonly ref: string;
  readonly text: string | null;
  readonly distance: number;
}

/** float4 on the way there and back. */
const TOLERANCE = 1e-3;

/**
 * A search through the public client. Text and distance come from one statement, so every hit must be as far away as its own text's
 * vector is by the model that answers: otherwise it was found by another text's, or another model's.
 */
export async function searchOnce({ book, request }: Connection, random: Random): Promise<void> {
  const query = `words ${random.whole(1, 1e9).toString(36)} about ${random.whole(1, 50)}`;
  try {
    const wrong = await request(async ({ db, encode }) => {
      if (encode === undefined) {
        await db.query('SELECT ref FROM segments WHERE embedding IS NOT NULL LIMIT 5');
        return [];
      }
      const vector = (await encode(query)) ?? '';
      const { rows } = await db.query<Hit>(
        `SELECT ref, text, embedding <=> $1::text::vector AS distance FROM segments ORDER BY embedding <=> $1::text::vector LIMIT 5`,
        [vector],
      );
      const found: string[] = [];
      for (const hit of rows) {
        if (hit.distance === null) continue;
        const own = await encode(hit.text);
        const expected = own === null ? Number.NaN : distanceOf(vector, own);
        if (!(Math.abs(expected - hit.distance) < TOLERANCE))
          found.push(`${hit.ref} at ${hit.distance}, not ${expected}`);
      }
      return found;
    });
    book.reads += 1;
    book.contradictions.push(...wrong.map((hit) => `stale: a search found ${hit}`));
  } catch (error) {
    book.note('search', error);
  }
}

/** Of unit vectors in pgvector's text form. */
function distanceOf(a: string, b: string): number {
  const [left, right] = [a, b].map((text) => JSON.parse(text) as number[]);
  return 1 - (left ?? []).reduce((sum, value, i) => sum + value * (right?.[i] ?? 0), 0);
}
