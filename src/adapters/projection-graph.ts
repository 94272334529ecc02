import type { OnnxGraph, OnnxNode, OnnxTensor } from '../models/onnx-writer.ts';
import type { HiddenLayer, Projection, ProjectionLayer } from './types.ts';

interface Part {
  readonly nodes: readonly OnnxNode[];
  readonly constants: readonly OnnxTensor[];
}

/** Below this a vector has no direction; it stays zero instead of becoming NaN. */
const LEAST_NORM = 1e-12;

/** The graph of a projection: float `x` `[rows, input]` → float `y` `[rows, output]`, all layers one behind the other. */
export function projectionGraph({ layers }: Projection): OnnxGraph {
  const parts = layers.map((layer, i) => layerPart(layer, `l${i}`, i === 0 ? 'x' : `l${i - 1}_y`));
  return {
    name: 'projection',
    inputs: [{ name: 'x', type: 'float', dims: ['rows', layers[0]?.input ?? 'columns'] }],
    outputs: [{ name: 'y', type: 'float', dims: ['rows', layers.at(-1)?.output ?? 'columns'] }],
    constants: parts.flatMap(({ constants }) => constants),
    nodes: [
      ...parts.flatMap(({ nodes }) => nodes),
      { op: 'Identity', inputs: [layers.length === 0 ? 'x' : `l${layers.length - 1}_y`], output: 'y' },
    ],
  };
}

function layerPart(layer: ProjectionLayer, name: string, x: string): Part {
  const linear = linearPart(layer, name, x);
  const hidden = layer.hidden === undefined ? undefined : hiddenPart(layer, layer.hidden, name, x);
  const sum = hidden === undefined ? `${name}_linear` : `${name}_sum`;
  const nodes: OnnxNode[] = [
    ...linear.nodes,
    ...(hidden?.nodes ?? []),
    ...(hidden === undefined ? [] : [{ op: 'Add', inputs: [`${name}_linear`, `${name}_beside`], output: sum }]),
  ];
  const constants = [...linear.constants, ...(hidden?.constants ?? [])];
  if (!layer.normalize) nodes.push({ op: 'Identity', inputs: [sum], output: `${name}_y` });
  else {
    nodes.push(
      { op: 'ReduceL2', inputs: [sum], output: `${name}_norm`, attributes: { axes: [1] } },
      { op: 'Max', inputs: [`${name}_norm`, `${name}_least`], output: `${name}_length` },
      { op: 'Div', inputs: [sum, `${name}_length`], output: `${name}_y` },
    );
    constants.push(scalar(`${name}_least`, LEAST_NORM));
  }
  return { nodes, constants };
}

/** `x·weight + bias`, as far as the layer has them. */
function linearPart({ weight, bias, input, output }: ProjectionLayer, name: string, x: string): Part {
  const constants: OnnxTensor[] = [];
  if (weight !== undefined) constants.push({ name: `${name}_weight`, dims: [input, output], data: weight });
  if (bias !== undefined) constants.push({ name: `${name}_bias`, dims: [output], data: bias });
  const names = constants.map((constant) => constant.name);
  const op = weight === undefined ? (bias === undefined ? 'Identity' : 'Add') : bias === undefined ? 'MatMul' : 'Gemm';
  return { nodes: [{ op, inputs: [x, ...names], output: `${name}_linear` }], constants };
}

/** `gelu(x·weight + bias)·output` with the exact GELU, `z · (1 + erf(z/√2)) / 2`. */
function hiddenPart({ input, output }: ProjectionLayer, hidden: HiddenLayer, name: string, x: string): Part {
  const at = (part: string): string => `${name}_hidden_${part}`;
  return {
    nodes: [
      { op: 'Gemm', inputs: [x, at('weight'), at('bias')], output: at('z') },
      { op: 'Mul', inputs: [at('z'), at('root')], output: at('scaled') },
      { op: 'Erf', inputs: [at('scaled')], output: at('erf') },
      { op: 'Add', inputs: [at('erf'), at('one')], output: at('twice') },
      { op: 'Mul', inputs: [at('z'), at('twice')], output: at('doubled') },
      { op: 'Mul', inputs: [at('doubled'), at('half')], output: at('gelu') },
      { op: 'MatMul', inputs: [at('gelu'), at('output')], output: `${name}_beside` },
    ],
    constants: [
      { name: at('weight'), dims: [input, hidden.size], data: hidden.weight },
      { name: at('bias'), dims: [hidden.size], data: hidden.bias },
      { name: at('output'), dims: [hidden.size, output], data: hidden.output },
      scalar(at('root'), Math.SQRT1_2),
      scalar(at('one'), 1),
      scalar(at('half'), 0.5),
    ],
  };
}

function scalar(name: string, value: number): OnnxTensor {
  return { name, dims: [1], data: Float32Array.of(value) };
}
