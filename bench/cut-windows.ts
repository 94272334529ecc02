import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';

/** Words of a window, and from one window's first word to the next one's. */
const WINDOW_WORDS = 18;
const STEP_WORDS = 8;

/** Overlapping windows of 18 words of every passage of a JSONL with `text`, each text once: thousands of short texts that people wrote. */
export async function cutWindows(path: string, most: number): Promise<string[]> {
  const windows = new Set<string>();
  for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })) {
    const { text } = JSON.parse(line) as { readonly text: string };
    const words = text.split(/\s+/).filter((word) => word !== '');
    for (let at = 0; at + WINDOW_WORDS <= words.length || at === 0; at += STEP_WORDS) {
      windows.add(words.slice(at, at + WINDOW_WORDS).join(' '));
    }
  }
  return [...windows].slice(0, most);
}
