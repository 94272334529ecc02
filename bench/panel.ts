import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const DIRECTORY = 'bench/results';

const panelSchema = z.object({
  title: z.string(),
  /** Of the rates, e.g. `texts/s`. */
  unit: z.string(),
  results: z
    .array(
      z.object({
        name: z.string(),
        /** Drawn in colour: what reembed itself does. */
        ours: z.boolean(),
        /** As measured, round by round. */
        rates: z.array(z.number().positive()).min(1),
      }),
    )
    .min(1),
});

/** What one bench measured, for the plot. */
export type Panel = z.infer<typeof panelSchema>;

/** Keeps a panel in bench/results, over what an earlier run left there. */
export function savePanel(name: string, panel: Panel): void {
  mkdirSync(DIRECTORY, { recursive: true });
  writeFileSync(panelPath(name), `${JSON.stringify(panelSchema.parse(panel), null, 2)}\n`);
}

/** @throws when there is none of that name, or it is not a panel */
export function readPanel(name: string): Panel {
  return panelSchema.parse(JSON.parse(readFileSync(panelPath(name), 'utf8')));
}

function panelPath(name: string): string {
  return join(DIRECTORY, `${name}.json`);
}
