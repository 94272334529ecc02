import type { Command } from '../command.ts';
import { down } from './down.ts';
import { up } from './up.ts';

/** The verbs in the order of `--help`; one that does not work yet is not among them. */
export const commands: readonly Command[] = [up, down];
