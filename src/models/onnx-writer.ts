/** Values of a constant; the element type is the array's: float, double, int64, int32, uint8, int8. */
export type OnnxData = Float32Array | Float64Array | BigInt64Array | Int32Array | Uint8Array | Int8Array;

/** A constant of the graph. */
export interface OnnxTensor {
  readonly name: string;
  readonly dims: readonly number[];
  readonly data: OnnxData;
}

/** A whole number, a list of them, or a float. */
export type OnnxAttribute = number | readonly number[] | { readonly float: number };

/** An operator. Its first output is `output`; a few operators have more. */
export interface OnnxNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly output: string;
  readonly moreOutputs?: readonly string[];
  readonly attributes?: Readonly<Record<string, OnnxAttribute>>;
}

/** `[batch, sequence, dimensions]`, or `[batch, dimensions]` where the graph pools; float unless said. */
export interface OnnxOutput {
  readonly name: string;
  readonly pools?: boolean;
  readonly half?: boolean;
}

/**
 * A text encoder: int64 inputs `[batch, sequence]`, one float output `[batch, sequence, dimensions]`, or
 * `[batch, dimensions]` where the graph pools; or several outputs.
 */
export interface OnnxEncoder {
  readonly inputs: readonly string[];
  readonly output: string;
  readonly dimensions: number;
  readonly pools?: boolean;
  /** In place of `output` and `pools`. */
  readonly outputs?: readonly OnnxOutput[];
  readonly constants: readonly OnnxTensor[];
  readonly nodes: readonly OnnxNode[];
}

/** An input or output of a graph. A dimension that is a name may be of any size, the same wherever the name stands. */
export interface OnnxValue {
  readonly name: string;
  readonly type: 'float' | 'float16' | 'double' | 'int64';
  readonly dims: readonly (string | number)[];
}

/** Any graph. */
export interface OnnxGraph {
  readonly name: string;
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  readonly constants: readonly OnnxTensor[];
  readonly nodes: readonly OnnxNode[];
}

const IR_VERSION = 8;
const OPSET = 17;
/** TensorProto.DataType */
const ELEMENT_TYPES = { float: 1, int64: 7, float16: 10, double: 11 } as const;
/** AttributeProto.AttributeType */
const FLOAT_ATTRIBUTE = 1;
const INTEGER_ATTRIBUTE = 2;
const INTEGERS_ATTRIBUTE = 7;

/** Encodes a text encoder as a ModelProto. */
export function encodeOnnxModel(model: OnnxEncoder): Buffer {
  const batch = ['batch_size', 'sequence_length'];
  const outputs = model.outputs ?? [{ name: model.output, pools: model.pools === true }];
  return encodeOnnxGraph({
    name: 'encoder',
    nodes: model.nodes,
    constants: model.constants,
    inputs: model.inputs.map((name) => ({ name, type: 'int64', dims: batch })),
    outputs: outputs.map(({ name, pools, half }) => ({
      name,
      type: half === true ? 'float16' : 'float',
      dims: [...(pools === true ? batch.slice(0, 1) : batch), model.dimensions],
    })),
  });
}

/** Encodes a ModelProto. Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto */
export function encodeOnnxGraph({ name, inputs, outputs, constants, nodes }: OnnxGraph): Buffer {
  const graph = Buffer.concat([
    ...nodes.map((node) => message(1, encodeNode(node))),
    text(2, name),
    ...constants.map((tensor) => message(5, encodeTensor(tensor))),
    ...inputs.map((value) => message(11, encodeValue(value))),
    ...outputs.map((value) => message(12, encodeValue(value))),
  ]);
  return Buffer.concat([
    integer(1, IR_VERSION),
    text(2, 'reembed'),
    message(7, graph),
    message(8, Buffer.concat([text(1, ''), integer(2, OPSET)])),
  ]);
}

/** NodeProto: input 1, output 2, op_type 4, attribute 5. */
function encodeNode({ op, inputs, output, moreOutputs = [], attributes = {} }: OnnxNode): Buffer {
  return Buffer.concat([
    ...inputs.map((name) => text(1, name)),
    ...[output, ...moreOutputs].map((name) => text(2, name)),
    text(4, op),
    ...Object.entries(attributes).map(([name, value]) => message(5, encodeAttribute(name, value))),
  ]);
}

/** AttributeProto: name 1, f 2, i 3, ints 8, type 20. */
function encodeAttribute(name: string, value: OnnxAttribute): Buffer {
  if (typeof value === 'number')
    return Buffer.concat([text(1, name), integer(3, value), integer(20, INTEGER_ATTRIBUTE)]);
  if ('float' in value) return Buffer.concat([text(1, name), float(2, value.float), integer(20, FLOAT_ATTRIBUTE)]);
  return Buffer.concat([text(1, name), ...value.map((each) => integer(8, each)), integer(20, INTEGERS_ATTRIBUTE)]);
}

/** TensorProto: dims 1, data_type 2, name 8, raw_data 9 (little-endian). */
function encodeTensor({ name, dims, data }: OnnxTensor): Buffer {
  return Buffer.concat([
    ...dims.map((dim) => integer(1, dim)),
    integer(2, elementType(data)),
    text(8, name),
    message(9, Buffer.from(data.buffer, data.byteOffset, data.byteLength)),
  ]);
}

function elementType(data: OnnxData): number {
  if (data instanceof Float32Array) return ELEMENT_TYPES.float;
  if (data instanceof Float64Array) return ELEMENT_TYPES.double;
  if (data instanceof Uint8Array) return 2;
  if (data instanceof Int8Array) return 3;
  return data instanceof Int32Array ? 6 : ELEMENT_TYPES.int64;
}

/** ValueInfoProto: name 1, type 2 { tensor_type 1 { elem_type 1, shape 2 { dim 1 { dim_value 1 | dim_param 2 } } } }. */
function encodeValue({ name, type, dims: shape }: OnnxValue): Buffer {
  const dims = shape.map((dim) => message(1, typeof dim === 'string' ? text(2, dim) : integer(1, dim)));
  const tensor = Buffer.concat([integer(1, ELEMENT_TYPES[type]), message(2, Buffer.concat(dims))]);
  return Buffer.concat([text(1, name), message(2, message(1, tensor))]);
}

function integer(field: number, value: number): Buffer {
  return Buffer.concat([varint(field << 3), varint(value)]);
}

function float(field: number, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return Buffer.concat([varint((field << 3) | 5), bytes]);
}

function text(field: number, value: string): Buffer {
  return message(field, Buffer.from(value, 'utf8'));
}

function message(field: number, content: Buffer): Buffer {
  return Buffer.concat([varint((field << 3) | 2), varint(content.length), content]);
}

/** Base 128, lowest group first; a negative number as the ten bytes of its 64-bit complement. */
function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}
