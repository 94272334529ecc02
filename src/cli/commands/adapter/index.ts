import type { Command } from '../../command.ts';
import { applyAdapter } from './apply.ts';
import { composeAdapters } from './compose.ts';
import { exportAdapter } from './export.ts';
import { importAdapter } from './import.ts';
import { listAdapters } from './list.ts';
import { removeAdapter } from './remove.ts';
import { showAdapter } from './show.ts';
import { trainAdapterCommand } from './train.ts';

/** In the order of `reembed adapter --help`. */
export const subcommands: readonly Command[] = [
  trainAdapterCommand,
  applyAdapter,
  listAdapters,
  showAdapter,
  exportAdapter,
  importAdapter,
  composeAdapters,
  removeAdapter,
];
