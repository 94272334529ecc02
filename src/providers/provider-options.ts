import type { AdapterSettings, Device, Dtype, RemoteSettings, RuntimeSettings } from '../config/types.ts';
import type { UsageLedger } from './types.ts';

export interface ProviderOptions {
  readonly device?: Device | undefined;
  /** Which CUDA device; 0 unless said. */
  readonly deviceId?: number | undefined;
  /** Bytes of a device's memory that batches are planned for, by estimate; what it has unless said. */
  readonly gpuMemory?: number | undefined;
  /** The model's own choice unless said. */
  readonly dtype?: Dtype | undefined;
  /** Inference threads; unless said one a core, as far as the cores, the quota and the memory of this process go. */
  readonly threads?: number | undefined;
  /** Texts an inference batch at most. */
  readonly batchSize?: number | undefined;
  /** Where models are looked up by name; `~/.cache/reembed/models` unless said. */
  readonly modelsDir?: string | undefined;
  /** A lock file that the model's files must agree with, where it names the model. */
  readonly modelLock?: string | undefined;
  /** Where calibrations and paid vectors are kept; without it every process that embeds much calibrates anew, and nothing paid is kept. */
  readonly cacheDir?: string | undefined;
  /** How services are asked: URL, keys, limits. Needed by the providers that are asked over the network. */
  readonly remote?: RemoteSettings | undefined;
  /** Attempts a request, the first one included; 3 unless said. */
  readonly maxRetries?: number | undefined;
  /** Where the provider `adapted` looks for projections, and which one it takes; the best of `projections` unless said. */
  readonly adapters?: Pick<AdapterSettings, 'dir' | 'use'> | undefined;
  /** Keeps the minute's limits and the budget; without it a provider keeps the limits for as long as it is open. */
  readonly ledger?: UsageLedger | undefined;
  /**
   * Waits for a service that has answered and then stops, until `EMBEDDING_DEADLINE`, instead of `maxRetries` attempts: what a run of hours
   * wants, and a query does not (false).
   */
  readonly waitsForService?: boolean | undefined;
  /** Told the device that is really used, and when memory ran out. */
  readonly onNotice?: ((message: string) => void) | undefined;
  /** Told what goes on, but not as it should: paid vectors that cannot be kept. `onNotice` is told unless said. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

/** What the environment says about how a model runs. */
export function providerOptions(runtime: RuntimeSettings): ProviderOptions {
  const { device, deviceId, gpuMemory, dtype, threads, batchSize, maxRetries, remote, adapters } = runtime;
  const { modelsDir, modelLock, cacheDir } = runtime;
  const model = { device, deviceId, gpuMemory, dtype, threads, batchSize };
  return { ...model, modelsDir, modelLock, cacheDir, maxRetries, remote, adapters };
}
