import type { ModelReference } from '../config/types.ts';
import type { WantedSpace } from './same-space.ts';

/** The space of a configured model; with the provider `adapted` its name is all that is known before a projection is chosen. */
export function wantedModel({ provider, model, dimensions }: ModelReference): WantedSpace {
  if (provider === 'adapted') return { dimensions, fingerprint: { name: model } };
  return { dimensions, reference: { provider, model, dimensions } };
}
