import { resolve } from 'node:path';
import { adaptedTarget } from '../adapters/adapted-reference.ts';
import { compareSpaces } from '../adapters/same-space.ts';
import { isRemote } from '../config/provider-names.ts';
import type { ModelReference } from '../config/types.ts';
import { ModelError } from '../errors.ts';
import { openLocalModel } from '../models/local-model.ts';
import { fileProvider } from './file.ts';
import { hashProvider } from './hash.ts';
import { localProvider } from './local.ts';
import type { ProviderOptions } from './provider-options.ts';
import { openRemote } from './remote/open-remote.ts';
import type { EmbeddingProvider } from './types.ts';
import { cachedProvider } from './vector-cache/cached-provider.ts';

/**
 * Opens the provider that `reference` names and checks it against the dimensions asked for. The caller closes it.
 * @throws ModelError, ProviderError or ConfigError when it cannot be used.
 */
export async function createProvider(
  reference: ModelReference & { readonly revision?: string | undefined },
  options: ProviderOptions = {},
): Promise<EmbeddingProvider> {
  const provider = await openProvider(reference, options);
  const problem = mismatch(reference, provider);
  if (problem === undefined) return withVectorCache(provider, options);
  await provider.close();
  throw problem;
}

/** Vectors that cost money are kept unless that is switched off, those of a local model when it is asked for. */
function withVectorCache(provider: EmbeddingProvider, options: ProviderOptions): EmbeddingProvider {
  const { cacheDir, remote, onWarning = options.onNotice } = options;
  const mode = remote?.vectorCache ?? 'auto';
  const isKept = isRemote(provider.model.provider) || (mode === 'on' && provider.model.provider === 'local');
  if (cacheDir === undefined || mode === 'off' || !isKept) return provider;
  return cachedProvider(provider, { cacheDir, onWarning });
}

async function openProvider(
  reference: ModelReference & { readonly revision?: string | undefined },
  options: ProviderOptions,
): Promise<EmbeddingProvider> {
  switch (reference.provider) {
    case 'hash':
      return hashProvider(reference.model);
    case 'file':
      return fileProvider(reference);
    case 'local': {
      const model = await openLocalModel(reference.model, options);
      const { note } = model.facts;
      const threads = `${model.threads} ${model.threads === 1 ? 'thread' : 'threads'}`;
      const because = note === undefined ? '' : `; ${note}`;
      options.onNotice?.(`${reference.model} (${model.files.dtype}) runs on ${model.device}, ${threads}${because}`);
      return localProvider(reference.model, model, { ...options, revision: reference.revision });
    }
    case 'openai':
    case 'huggingface':
    case 'tei':
    case 'gemini':
      return openRemote({ ...reference, provider: reference.provider }, options);
    case 'adapted':
      return openAdapted(reference, options);
  }
}

/**
 * The model behind a projection: texts are embedded by it, queries first of all. It has to be the very one that the projection was trained for,
 * or what it makes cannot be compared with what was mapped.
 */
async function openAdapted(reference: ModelReference, options: ProviderOptions): Promise<EmbeddingProvider> {
  const { adapters = { dir: resolve('projections'), use: undefined } } = options;
  const { entry, reference: real } = await adaptedTarget(reference, adapters);
  const provider = await openProvider(real, options);
  const present = { fingerprint: { ...provider.model }, dimensions: provider.model.dimensions };
  const { fit, difference } = compareSpaces({ ...entry.target, reference: undefined }, present);
  if (fit !== 'other') return provider;
  await provider.close();
  throw new ModelError(
    'model_differs',
    `${real.model} is not the model that the projection ${entry.id} maps to any more: ${difference}.`,
    {
      hint: 'Set the configuration (EMBEDDING_DTYPE, the files) back to that model, or train a projection for this one with "reembed adapter train".',
      context: { projection: entry.id, stored: entry.target.fingerprint, present: provider.model },
    },
  );
}

function mismatch(
  { model, dimensions, revision }: ModelReference & { readonly revision?: string | undefined },
  provider: EmbeddingProvider,
): ModelError | undefined {
  if (provider.model.dimensions !== dimensions) {
    return new ModelError(
      'dimensions_differ',
      `${model} makes ${provider.model.dimensions} dimensions, the configuration asks for ${dimensions}.`,
      { hint: `Set the dimensions (EMBEDDING_DIMENSIONS) to ${provider.model.dimensions}, or choose another model.` },
    );
  }
  if (revision === undefined || provider.model.revision === revision) return undefined;
  return new ModelError(
    'revision_differs',
    `${model} is revision ${provider.model.revision}, the configuration asks for ${revision}.`,
    { hint: 'Put the files of that revision in place, or pin the revision that is there.' },
  );
}
