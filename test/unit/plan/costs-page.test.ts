import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { apiCost } from '../../../src/plan/roi.ts';
import { PRICES } from '../../../src/providers/prices.ts';

const page = readFileSync(new URL('../../../docs/costs.md', import.meta.url), 'utf8');

it.each(PRICES)("docs/costs.md has the table's price of $model with its month, and what follows from it", (price) => {
  const { provider, model, usdPerMillionTokens, asOf, source } = price;
  const row = page.split('\n').find((line) => line.startsWith(`| \`${provider}\`, ${model} |`));
  const cells = row?.split('|').map((cell) => cell.trim()) ?? [];
  const month = 100_000 * 20 + 10_000 * 1000;
  expect(cells.slice(2, 3)).toEqual([`$${usdPerMillionTokens.toFixed(2)}, ${asOf}`]);
  expect(cells.slice(4, 6)).toEqual([
    `$${apiCost(1_000_000, 1000, usdPerMillionTokens).toFixed(2)}`,
    `$${apiCost(month, 1, usdPerMillionTokens).toFixed(2)}`,
  ]);
  expect(page).toContain(source);
});
