import type { StoredFingerprint } from '../state/models.ts';

/** What two fingerprints do not agree on, one line a field: `dtype is int8, was fp32`. Files are named, not shown. */
export function modelDifferences(stored: StoredFingerprint, present: StoredFingerprint): string[] {
  // How the configuration wrote the name is kept beside the fingerprint; the model itself does not know it.
  const fields = [...new Set([...Object.keys(stored), ...Object.keys(present)])].filter((f) => f !== 'configuredAs');
  return fields.flatMap((field) => {
    const was = sorted(stored[field]);
    const is = sorted(present[field]);
    if (was === is) return [];
    return [field === 'files' ? 'its files are not the same' : `${field} is ${is}, was ${was}`];
  });
}

/** jsonb keeps no order of keys. */
function sorted(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  if (typeof value !== 'object') return String(value);
  if (Array.isArray(value)) return JSON.stringify(value);
  return JSON.stringify(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
