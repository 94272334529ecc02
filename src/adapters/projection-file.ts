import { createHash } from 'node:crypto';
import { z } from 'zod';
import { AdapterError } from '../errors.ts';
import { type DescribedEntry, describedSchema } from './entry-schema.ts';
import { bytesOf, decodeSafetensors, encodeSafetensors, type Tensor } from './safetensors.ts';
import type { HiddenLayer, Projection, ProjectionEntry, ProjectionLayer } from './types.ts';

// One safetensors file: tensors `layers.<n>.weight`, `.bias`, `.hidden.weight`, `.hidden.bias`, `.hidden.output`, each as types.ts has it; in
// its metadata the format's version, the entry, what else belongs to the layers, and a sum over all of these and the values.

const FORMAT = 'reembed-projection';
const VERSION = 1;
const size = z.number().int().min(1).max(1_000_000);
const layersSchema = z
  .array(z.strictObject({ input: size, output: size, normalize: z.boolean(), hidden: size.optional() }))
  .min(1)
  .max(16);
type LayerShape = z.infer<typeof layersSchema>[number];

/** A projection with its entry, as read from a file. */
export interface ReadProjection<Entry = ProjectionEntry> {
  readonly entry: Entry;
  readonly projection: Projection;
}

/**
 * A projection as one file that carries all that is known of it.
 * @throws AdapterError `projection_invalid` where layers, values and entry do not fit each other
 */
export function encodeProjection(entry: DescribedEntry, projection: Projection): Buffer {
  const name = `The projection ${entry.id}`;
  // In the schema's order of fields, so that the same entry always makes the same bytes.
  const checked = parse(describedSchema, JSON.stringify(entry), 'its entry', name);
  assertFits(entry, projection, name);
  const tensors = new Map(projection.layers.flatMap((layer, i) => layerTensors(layer, `layers.${i}`)));
  const layers = projection.layers.map(({ input, output, normalize, hidden }) => ({
    input,
    output,
    normalize,
    ...(hidden === undefined ? {} : { hidden: hidden.size }),
  }));
  const described = { entry: JSON.stringify(checked), layers: JSON.stringify(layers) };
  const checksum = sumOf(described, tensors);
  return encodeSafetensors({ tensors, metadata: { format: FORMAT, version: String(VERSION), ...described, checksum } });
}

/**
 * The other way round. Everything is checked: nothing in the file is taken on trust.
 *
 * @param name of the file, for errors
 * @throws AdapterError `safetensors_invalid`, `dtype_unsupported`, `projection_invalid`, `projection_newer`, `projection_changed`
 */
export function decodeProjection(bytes: Buffer, name: string): ReadProjection<DescribedEntry> {
  const { tensors, metadata } = decodeSafetensors(bytes, name);
  const { format, version, entry: entryText = '', layers: layersText = '', checksum = '' } = metadata;
  if (format !== FORMAT) throw invalid(name, 'its metadata does not say that reembed has made it');
  if (version !== String(VERSION)) {
    throw new AdapterError(
      'projection_newer',
      `${name} is of format version ${version}, this reembed reads ${VERSION}.`,
      {
        step: 'adapter',
        hint: 'Update reembed, or export the projection again with this version.',
      },
    );
  }
  const observed = sumOf({ entry: entryText, layers: layersText }, tensors);
  if (observed !== checksum) {
    throw new AdapterError('projection_changed', `${name} has the sum ${observed}, it says ${checksum || 'none'}.`, {
      step: 'adapter',
      hint: 'Its content was changed after it was written: take the file again from where it was made.',
      context: { file: name, observed, expected: checksum },
    });
  }
  const entry = parse(describedSchema, entryText, 'its entry', name);
  const shapes = parse(layersSchema, layersText, 'its layers', name);
  const projection = { layers: shapes.map((shape, i) => readLayer(shape, `layers.${i}`, tensors, name)) };
  const expected = shapes.reduce((sum, shape, i) => sum + tensorNames(shape, `layers.${i}`, tensors).length, 0);
  if (tensors.size !== expected)
    throw invalid(name, `it holds ${tensors.size} tensors, ${expected} belong to its layers`);
  assertFits(entry, projection, name);
  return { entry, projection };
}

function layerTensors({ input, output, weight, bias, hidden }: ProjectionLayer, name: string): [string, Tensor][] {
  const tensors: [string, Tensor | undefined][] = [
    [`${name}.weight`, weight && { shape: [input, output], data: weight }],
    [`${name}.bias`, bias && { shape: [output], data: bias }],
    [`${name}.hidden.weight`, hidden && { shape: [input, hidden.size], data: hidden.weight }],
    [`${name}.hidden.bias`, hidden && { shape: [hidden.size], data: hidden.bias }],
    [`${name}.hidden.output`, hidden && { shape: [hidden.size, output], data: hidden.output }],
  ];
  return tensors.flatMap(([key, tensor]): [string, Tensor][] => (tensor === undefined ? [] : [[key, tensor]]));
}

function tensorNames({ hidden }: LayerShape, name: string, tensors: ReadonlyMap<string, Tensor>): string[] {
  const optional = ['weight', 'bias'].filter((part) => tensors.has(`${name}.${part}`));
  return [...optional, ...(hidden === undefined ? [] : ['hidden.weight', 'hidden.bias', 'hidden.output'])];
}

function readLayer(
  { input, output, normalize, hidden }: LayerShape,
  layer: string,
  tensors: ReadonlyMap<string, Tensor>,
  file: string,
): ProjectionLayer {
  const read = (part: string, shape: readonly number[]): Float32Array | undefined => {
    const tensor = tensors.get(`${layer}.${part}`);
    if (tensor === undefined || tensor.shape.join() === shape.join()) return tensor?.data;
    throw invalid(file, `${layer}.${part} is [${tensor.shape.join(', ')}], [${shape.join(', ')}] was expected`);
  };
  const need = (part: string, shape: readonly number[]): Float32Array => {
    const data = read(part, shape);
    if (data === undefined) throw invalid(file, `${layer}.${part} is missing`);
    return data;
  };
  const readHidden = (units: number): HiddenLayer => ({
    size: units,
    weight: need('hidden.weight', [input, units]),
    bias: need('hidden.bias', [units]),
    output: need('hidden.output', [units, output]),
  });
  return {
    input,
    output,
    weight: read('weight', [input, output]),
    bias: read('bias', [output]),
    hidden: hidden === undefined ? undefined : readHidden(hidden),
    normalize,
  };
}

/** Layers that lead from the source's dimensions to the target's, of the right sizes, finite throughout. */
function assertFits(entry: DescribedEntry, { layers }: Projection, name: string): void {
  let width = entry.source.dimensions;
  for (const [i, layer] of layers.entries()) {
    if (layer.input !== width) {
      throw invalid(name, `layer ${i} takes ${layer.input} dimensions, what is before it gives ${width}`);
    }
    if (layer.weight === undefined && layer.input !== layer.output) {
      throw invalid(name, `layer ${i} has no weight, and takes ${layer.input} dimensions to ${layer.output}`);
    }
    for (const [key, { shape, data }] of layerTensors(layer, `layers.${i}`)) {
      const expected = shape.reduce((product, each) => product * each, 1);
      if (data.length !== expected) throw invalid(name, `${key} has ${data.length} values, ${expected} were expected`);
      const at = data.findIndex((value) => !Number.isFinite(value));
      if (at >= 0) throw invalid(name, `value ${at} of ${key} is ${data[at]}`);
    }
    width = layer.output;
  }
  if (layers.length > 0 && width === entry.target.dimensions) return;
  throw invalid(name, `its layers give ${width} dimensions, its target has ${entry.target.dimensions}`);
}

function sumOf(described: { readonly entry: string; readonly layers: string }, tensors: ReadonlyMap<string, Tensor>) {
  const hash = createHash('sha256').update(`${described.entry}\n${described.layers}\n`);
  for (const name of [...tensors.keys()].sort()) {
    hash.update(`${name}\n`).update(bytesOf(tensors.get(name)?.data ?? new Float32Array()));
  }
  return hash.digest('hex');
}

function parse<T>(schema: z.ZodType<T>, text: string, what: string, name: string): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid(name, `${what} is not JSON`);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'the document'}: ${issue.message}`);
  throw invalid(name, `${what} is not as expected: ${issues.join('; ')}`);
}

function invalid(name: string, problem: string): AdapterError {
  return new AdapterError('projection_invalid', `${name} is no projection that can be used: ${problem}.`, {
    step: 'adapter',
    hint: 'Take the file again from where it was made, or train the projection anew with "reembed adapter train".',
    context: { file: name },
  });
}
