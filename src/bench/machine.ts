import { totalmem } from 'node:os';
import { readMachine } from '../models/machine.ts';
import type { BenchMachine } from './types.ts';

/**
 * What a figure has to be read with.
 * @param onnxruntime version of onnxruntime-node, as a session tells it
 */
export function describeMachine(onnxruntime: string): BenchMachine {
  const { cpu, arch, cores } = readMachine();
  return {
    cpu,
    arch,
    platform: process.platform,
    cores,
    memoryBytes: memory(),
    node: process.versions.node,
    onnxruntime,
  };
}

/** Of the machine, or what the control group allows of it. */
function memory(): number {
  const limit = process.constrainedMemory();
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}
