import { NETWORK_KINDS } from './kinds-network.ts';
import { PROCESS_KINDS } from './kinds-process.ts';
import { PROVIDER_KINDS } from './kinds-provider.ts';
import { SERVER_KINDS } from './kinds-server.ts';
import type { FaultKind } from './world.ts';

/** Every fault that is thrown, by its name in the report. */
export const KINDS: readonly FaultKind[] = [...PROCESS_KINDS, ...SERVER_KINDS, ...NETWORK_KINDS, ...PROVIDER_KINDS];

/** @throws RangeError that names what there is */
export function kindNamed(name: string): FaultKind {
  const kind = KINDS.find((each) => each.name === name);
  if (kind !== undefined) return kind;
  throw new RangeError(
    `no fault is named ${JSON.stringify(name)}; there are ${KINDS.map((each) => each.name).join(', ')}`,
  );
}
