import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeEach } from 'vitest';
import { Secret } from '../../../../src/config/secret.ts';
import type { ModelError } from '../../../../src/errors.ts';
import { type PulledModel, pullModel } from '../../../../src/models/hub/pull-model.ts';
import type { PullModelOptions } from '../../../../src/models/hub/pull-request.ts';
import { type HubRepository, type HubServer, noFaults, startHubServer } from '../../../helpers/hub-server.ts';
import { temporaryDirectory } from '../temporary-directory.ts';

export const COMMIT = 'a'.repeat(40);
export const LATER = 'b'.repeat(40);
export const NAME = 'acme/small-en';

/** Larger than what is sent in one piece, so that a connection can break in its middle. */
export const GRAPH = Buffer.alloc(300_000, 'graph of fp32 ');

export const FILES = {
  'config.json': '{"hidden_size":384}',
  'modules.json': '[]',
  'tokenizer.json': '{"version":"1.0"}',
  'onnx/model.onnx': GRAPH,
  'README.md': 'a card',
  'pytorch_model.bin': 'pickled weights',
  'modeling_small.py': 'print("no")',
};

export const REPOSITORY: HubRepository = { commit: COMMIT, files: FILES, license: 'mit' };

export interface PullBed {
  readonly hub: HubServer;
  readonly root: string;
  /** A new directory for models in each test. */
  modelsDir: string;
  pull(options?: Partial<PullModelOptions> & { readonly name?: string; readonly token?: string }): Promise<PulledModel>;
  /** What a pull was refused with; fails when it was not. */
  refusal(options?: Parameters<PullBed['pull']>[0]): Promise<ModelError>;
  /** Everything below the directory for models, by path. */
  everything(): Promise<readonly string[]>;
  /** Paths that were asked for, without the API. */
  asked(): readonly string[];
}

/** A Hub with one repository, and a pull that goes there. */
export async function pullBed(): Promise<PullBed> {
  const hub = await startHubServer();
  const root = await temporaryDirectory();
  afterAll(() => hub.close());
  let count = 0;
  const bed: PullBed = {
    hub,
    root,
    modelsDir: '',
    pull: ({ name = NAME, token, ...options } = {}) =>
      pullModel(name, {
        remote: {
          hubUrl: hub.url,
          allowHttp: false,
          requestTimeoutMs: 20_000,
          keys: { huggingface: token === undefined ? undefined : new Secret(token, 'HF_TOKEN') },
        },
        modelsDir: bed.modelsDir,
        retryDelayMs: 1,
        ...options,
      }),
    refusal: (options) =>
      bed.pull(options).then(
        () => {
          throw new Error('nothing was refused');
        },
        (error: ModelError) => error,
      ),
    everything: async () => (await readdir(bed.modelsDir, { recursive: true })).sort(),
    asked: () => hub.requests.map(({ path }) => path).filter((path) => !path.startsWith('/api/')),
  };
  beforeEach(() => {
    bed.modelsDir = join(root, `models-${++count}`);
    hub.repositories.clear();
    hub.repositories.set(NAME, REPOSITORY);
    hub.requests.length = 0;
    Object.assign(hub.faults, noFaults());
  });
  return bed;
}
