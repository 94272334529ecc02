import type { Dtype } from '../../config/types.ts';
import type { ModelManifest } from '../manifest.ts';
import { CONFIG_FILES, chooseGraph, weightFiles } from '../model-layout.ts';

/** `made` with the files that `here`, of the same revision, holds besides; what was the default stays it. */
export function withFilesOf(here: ModelManifest, made: ModelManifest): ModelManifest {
  return { ...made, dtype: here.dtype, graph: here.graph, files: { ...here.files, ...made.files } };
}

/** A model of a manifest in one precision: sha256 and bytes of the files that take part in inference. */
export interface ManifestedModel {
  readonly dtype: Dtype;
  readonly graph: string;
  readonly hashes: Readonly<Record<string, string>>;
  readonly bytes: number;
}

/** What a manifest holds in `dtype`, or in its own precision; undefined where that is not there. */
export function manifested(manifest: ModelManifest, dtype: Dtype | undefined): ManifestedModel | undefined {
  const names = Object.keys(manifest.files);
  const chosen =
    dtype === undefined || dtype === manifest.dtype
      ? { graph: manifest.graph, dtype: manifest.dtype }
      : chooseGraph(names, dtype);
  if (chosen === undefined) return undefined;
  const taken = [chosen.graph, ...weightFiles(chosen.graph, names), ...CONFIG_FILES].flatMap((name) => {
    const file = manifest.files[name];
    return file === undefined ? [] : [[name, file] as const];
  });
  return {
    ...chosen,
    hashes: Object.fromEntries(taken.map(([name, { sha256 }]) => [name, sha256])),
    bytes: taken.reduce((sum, [, file]) => sum + file.bytes, 0),
  };
}
