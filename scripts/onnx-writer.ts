/** A constant of the graph. */
export interface OnnxTensor {
  readonly name: string;
  readonly dims: readonly number[];
  readonly data: Float32Array | BigInt64Array;
}

/** An operator with one output; attributes are integers. */
export interface OnnxNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly output: string;
  readonly attributes?: Readonly<Record<string, number>>;
}

/** A text encoder: int64 inputs `[batch, sequence]`, one float output `[batch, sequence, dimensions]`. */
export interface OnnxEncoder {
  readonly inputs: readonly string[];
  readonly output: string;
  readonly dimensions: number;
  readonly constants: readonly OnnxTensor[];
  readonly nodes: readonly OnnxNode[];
}

const IR_VERSION = 8;
const OPSET = 17;
const FLOAT = 1;
const INT64 = 7;

/** Encodes a ModelProto. Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto */
export function encodeOnnxModel(model: OnnxEncoder): Buffer {
  const batch = ['batch_size', 'sequence_length'];
  const graph = Buffer.concat([
    ...model.nodes.map((node) => message(1, encodeNode(node))),
    text(2, 'encoder'),
    ...model.constants.map((tensor) => message(5, encodeTensor(tensor))),
    ...model.inputs.map((name) => message(11, encodeValue(name, INT64, batch))),
    message(12, encodeValue(model.output, FLOAT, [...batch, model.dimensions])),
  ]);
  return Buffer.concat([
    integer(1, IR_VERSION),
    text(2, 'reembed'),
    message(7, graph),
    message(8, Buffer.concat([text(1, ''), integer(2, OPSET)])),
  ]);
}

/** NodeProto: input 1, output 2, op_type 4, attribute 5. */
function encodeNode({ op, inputs, output, attributes = {} }: OnnxNode): Buffer {
  const INTEGER_ATTRIBUTE = 2;
  return Buffer.concat([
    ...inputs.map((name) => text(1, name)),
    text(2, output),
    text(4, op),
    ...Object.entries(attributes).map(([name, value]) =>
      message(5, Buffer.concat([text(1, name), integer(3, value), integer(20, INTEGER_ATTRIBUTE)])),
    ),
  ]);
}

/** TensorProto: dims 1, data_type 2, name 8, raw_data 9 (little-endian). */
function encodeTensor({ name, dims, data }: OnnxTensor): Buffer {
  return Buffer.concat([
    ...dims.map((dim) => integer(1, dim)),
    integer(2, data instanceof Float32Array ? FLOAT : INT64),
    text(8, name),
    message(9, Buffer.from(data.buffer, data.byteOffset, data.byteLength)),
  ]);
}

/** ValueInfoProto: name 1, type 2 { tensor_type 1 { elem_type 1, shape 2 { dim 1 { dim_value 1 | dim_param 2 } } } }. */
function encodeValue(name: string, type: number, shape: readonly (string | number)[]): Buffer {
  const dims = shape.map((dim) => message(1, typeof dim === 'string' ? text(2, dim) : integer(1, dim)));
  const tensor = Buffer.concat([integer(1, type), message(2, Buffer.concat(dims))]);
  return Buffer.concat([text(1, name), message(2, message(1, tensor))]);
}

function integer(field: number, value: number): Buffer {
  return Buffer.concat([varint(field << 3), varint(value)]);
}

function text(field: number, value: string): Buffer {
  return message(field, Buffer.from(value, 'utf8'));
}

function message(field: number, content: Buffer): Buffer {
  return Buffer.concat([varint((field << 3) | 2), varint(content.length), content]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  bytes.push(rest);
  return Buffer.from(bytes);
}
