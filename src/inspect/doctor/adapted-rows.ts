import { number } from '../../amounts.ts';
import type { Queryable } from '../../db/types.ts';
import { plural } from '../../plural.ts';
import { newVectorTarget } from '../../state/resolve.ts';
import { readAdaptedRows } from '../adapted-rows.ts';
import { adapterText } from '../adapted-text.ts';
import { type Finding, warningFinding } from '../finding.ts';
import { type Examined, type Look, seen } from './look.ts';

/** Rows whose vectors were mapped, not embedded, and whether the projection that mapped them is at hand. */
export async function lookAtAdaptedRows(
  { ctx: { runtime }, table, extension, record }: Examined,
  tx: Queryable,
): Promise<Look> {
  if (record === undefined) return seen('no adapter is recorded');
  const target = newVectorTarget(record, table, extension, runtime.stateSchema);
  const adapted = await readAdaptedRows({ db: tx, runtime }, target);
  if (adapted === undefined) return seen('no adapter is recorded');
  const { rows, withoutText, adapter, problem } = adapted;
  if (rows === 0) return seen(`${adapter}, and no row holds its vectors`);
  const where = `"${table.name}.${target.column}"`;
  const held = `${number(rows)} ${plural(rows, 'row', 'rows')} of ${where} ${plural(rows, 'holds a vector', 'hold vectors')} of ${adapterText(adapted)}`;
  const lost = withoutText === 0 ? '' : `; ${number(withoutText)} of them without a text stay as they are`;
  const findings: Finding[] = [
    warningFinding(
      'adapted_rows',
      `${held}.`,
      `"reembed backfill --replace-adapted" embeds their texts with the model itself${lost}.`,
    ),
  ];
  if (problem !== null) {
    findings.push(
      warningFinding(
        'adapter_missing',
        `${where} holds vectors of ${adapter}, and ${problem}.`,
        'Import it with "reembed adapter import <file>", or name its directory in REEMBED_PROJECTIONS_DIR.',
      ),
    );
  }
  return seen(adapterText(adapted), findings);
}
