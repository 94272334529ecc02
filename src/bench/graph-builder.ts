import type { OnnxAttribute, OnnxData, OnnxNode, OnnxTensor } from '../models/onnx-writer.ts';

/** Collects the constants and the operators of a graph, and names what lies between them. */
export interface GraphBuilder {
  readonly constants: readonly OnnxTensor[];
  readonly nodes: readonly OnnxNode[];
  /** Adds a constant and returns its name. */
  constant(dims: readonly number[], data: OnnxData): string;
  /** Adds an operator with one output and returns the output's name. */
  add(op: string, inputs: readonly string[], attributes?: OnnxNode['attributes']): string;
  /** Adds an operator with `count` outputs and returns their names. */
  addMany(op: string, inputs: readonly string[], count: number): readonly string[];
  /** Gives the last output the name by which the graph returns it. */
  rename(output: string, name: string): void;
}

export function createGraph(): GraphBuilder {
  const constants: OnnxTensor[] = [];
  const nodes: OnnxNode[] = [];
  let names = 0;
  const fresh = (kind: string): string => `${kind}_${names++}`;
  function addMany(
    op: string,
    inputs: readonly string[],
    count: number,
    attributes: Readonly<Record<string, OnnxAttribute>> = {},
  ): readonly string[] {
    const output = fresh(op);
    const moreOutputs = Array.from({ length: count - 1 }, () => fresh(op));
    nodes.push({ op, inputs, output, moreOutputs, attributes });
    return [output, ...moreOutputs];
  }
  return {
    constants,
    nodes,
    constant(dims, data) {
      const name = fresh('constant');
      constants.push({ name, dims, data });
      return name;
    },
    add: (op, inputs, attributes) => addMany(op, inputs, 1, attributes)[0] ?? '',
    addMany: (op, inputs, count) => addMany(op, inputs, count),
    rename: (output, name) => void nodes.push({ op: 'Identity', inputs: [output], output: name }),
  };
}

/** Uniform in ±`limit`, the same in every run: a 32-bit linear congruential generator (Numerical Recipes). */
export function randomValues(seed: number): (size: number, limit: number) => Float32Array {
  let state = seed;
  return (size, limit) => {
    const values = new Float32Array(size);
    for (let i = 0; i < size; i++) {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      values[i] = (state / 2 ** 31 - 1) * limit;
    }
    return values;
  };
}
