import type { ProjectionEntry } from '../adapters/types.ts';
import type { ModelFingerprint } from '../providers/types.ts';

/** Who mapped vectors are from: another file is another adapter. */
export function adaptedFingerprint(entry: ProjectionEntry): ModelFingerprint {
  return {
    provider: 'adapted',
    name: `adapted:${entry.id}`,
    revision: null,
    dimensions: entry.target.dimensions,
    dtype: null,
    pooling: null,
    normalize: entry.target.fingerprint.normalize === true,
    prefixes: { document: '', query: '' },
    files: { [entry.file]: entry.sha256 },
  };
}
