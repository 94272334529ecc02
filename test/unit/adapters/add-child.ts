// Adds one projection after the other to the registry of its first argument.
import { openRegistry } from '../../../src/adapters/registry.ts';
import { newEntry, PROJECTION } from './sample-projection.ts';

const registry = openRegistry(process.argv[2] ?? '');
process.send?.('ready');
for (let i = 0; i < Number(process.argv[3]); i++) await registry.add(newEntry(), PROJECTION);
process.disconnect?.();
