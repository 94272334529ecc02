import type { PulledModel } from '../models/hub/pull-model.ts';
import type { ListedModel, RefusedModel, VerifiedModel } from '../models/list-models.ts';
import { bytes, columns, count } from './text.ts';

/** A model of `model list`. */
export function describeListed(model: ListedModel): string {
  const { name, bundled, directory, kind, dimensions, dtype, license, revision } = model;
  const makes = dimensions === null ? 'unknown: no file of it says them' : String(dimensions);
  return `${name}\n${columns([
    ['  Directory', bundled ? `${directory} (bundled)` : directory],
    kind === 'reranker' ? ['  Kind', 'reranker'] : ['  Dimensions', makes],
    ['  Precision', dtype ?? 'unknown'],
    ['  Revision', revision ?? 'unknown'],
    ['  Size', model.bytes === null ? 'unknown' : bytes(model.bytes)],
    ['  Licence', license ?? 'unknown'],
    ...(model.problem === null ? [] : [['  Problem', model.problem] as const]),
  ])}`;
}

/** The result of `model pull`. */
export function describePulled(pulled: PulledModel, lockFile: string): string {
  const { name, dtype, result, receivedBytes, files } = pulled;
  const locks: Readonly<Record<PulledModel['lock'], string>> = {
    written: `locked in ${lockFile}: commit that file`,
    updated: `locked anew in ${lockFile}: commit that file`,
    matches: `as locked in ${lockFile}`,
    none: 'not locked',
  };
  const what = result === 'present' ? 'is here already' : `downloaded ${bytes(receivedBytes)}`;
  return `${name} (${dtype}): ${what}, every file is verified\n${columns([
    ['  Directory', pulled.directory],
    ['  Revision', pulled.revision ?? 'unknown'],
    ['  Licence', pulled.license],
    ['  Size', `${bytes(pulled.bytes)} in ${count(Object.keys(files).length, 'file')}`],
    ['  Lock', locks[pulled.lock]],
  ])}`;
}

/** A model of `model verify`. */
export function describeVerified(model: VerifiedModel | RefusedModel): string {
  if (model.result === 'refused') return `${model.name}: ${model.message}\n  ${model.hint}`;
  const { name, dtype, result, locked, files, directory } = model;
  const found = result === 'match' ? 'every file is as in its manifest' : 'no manifest to compare with';
  const taking = count(Object.keys(files).length, 'file takes', 'files take');
  return `${name} (${dtype}): ${found}${locked ? ' and as locked' : ''}; ${taking} part in inference\n  ${directory}`;
}
