import type { RemoteSettings } from '../config/types.ts';
import { type Estimate, exactly, sum, times, within } from './estimate.ts';
import type { PlanFacts } from './facts.ts';
import type { PlanPace, ProbeResult } from './inputs.ts';
import type { PlannedVectorIndex } from './plan-indexes.ts';
import { type PlannedTexts, tokensToSend } from './plan-texts.ts';
import { writeRate } from './write-rates.ts';

/** How long it takes, in seconds. */
export interface PlannedTime {
  /** Embedding all texts; undefined where nothing was measured. */
  readonly embedSeconds: Estimate | undefined;
  /** Writing all rows, were there nothing to embed. */
  readonly writeSeconds: Estimate;
  /** 006: reading, embedding and writing go on at the same time, so the slower of the two. */
  readonly backfillSeconds: Estimate | undefined;
  /** 007: the indexes, built while everybody works; the exchange itself takes milliseconds. */
  readonly indexSeconds: Estimate;
}

/** Seconds for each row, list and dimension: IVFFlat of 20,000 × 384 on one core of the benchmarks' machine. */
const IVFFLAT_SECONDS = 0.9e-9;
/** Seconds for each row, dimension and ln(rows): HNSW with m 16 and ef_construction 64, in memory, there. */
const HNSW_SECONDS = 1.53e-7;
/** Other processors, disks, parallel workers and real vectors instead of random ones. */
const INDEX_FACTOR = 4;
const WRITE_FACTOR = 3;
/** What else the machine does in a whole run: its rate may be so far from that of some seconds. */
const PROBE_FACTOR = 1.25;

export function planTime(
  facts: PlanFacts,
  texts: PlannedTexts | undefined,
  inputs: {
    readonly requests: Estimate | undefined;
    readonly probe: ProbeResult | undefined;
    readonly pace: PlanPace;
    readonly keepsIndex: boolean;
    readonly indexes: readonly PlannedVectorIndex[];
    readonly dimensions: number;
  },
): PlannedTime {
  const { requests, probe, pace, keepsIndex, indexes, dimensions } = inputs;
  const rows = texts?.texts ?? exactly(facts.rowsEstimate, facts.rowsCounted ? 'counted' : 'estimated');
  // Those too that an earlier run has embedded.
  const indexed = rows.value + (texts?.done.value ?? 0);
  const writeSeconds = within(rows.value / writeRate(facts, keepsIndex), WRITE_FACTOR);
  const embedSeconds = texts === undefined ? undefined : secondsToEmbed(texts, requests, probe, pace);
  return {
    embedSeconds,
    writeSeconds,
    backfillSeconds: embedSeconds === undefined ? undefined : slower(embedSeconds, writeSeconds),
    indexSeconds: sum(indexes.map((index) => indexBuildSeconds(index, indexed, dimensions))),
  };
}

/** From the probe's rate: by the token for a model here, by the request for a service. */
function secondsToEmbed(
  texts: PlannedTexts,
  requests: Estimate | undefined,
  probe: ProbeResult | undefined,
  pace: PlanPace,
): Estimate | undefined {
  if (probe === undefined || probe.seconds <= 0) return undefined;
  if (probe.requests !== undefined && requests !== undefined) {
    return slowedByLimits(overRequests(requests, probe, pace, texts), requests, texts, pace.remote);
  }
  const [amount, done] = probe.tokens > 0 ? [texts.tokens, probe.tokens] : [texts.texts, probe.texts];
  if (done === 0) return undefined;
  const { value, low, high } = times(amount, probe.seconds / done);
  return { value, low: low / PROBE_FACTOR, high: high * PROBE_FACTOR, basis: 'measured' };
}

/** As many requests at a time as the windows in flight have and the settings allow; at worst one after the other. */
function overRequests(requests: Estimate, probe: ProbeResult, pace: PlanPace, { texts }: PlannedTexts): Estimate {
  const latency = probe.seconds / Math.max(1, probe.requests ?? 1);
  const windows = Math.max(1, Math.ceil(texts.value / pace.batchRows));
  const atATime = Math.max(1, Math.min(pace.remote.maxRequests, (pace.concurrency * requests.value) / windows));
  const side = times(requests, latency);
  return { value: side.value / atATime, low: side.low / atATime, high: side.high, basis: 'measured' };
}

function slowedByLimits(
  seconds: Estimate,
  requests: Estimate,
  texts: PlannedTexts,
  { requestsPerMinute, tokensPerMinute }: Pick<RemoteSettings, 'requestsPerMinute' | 'tokensPerMinute'>,
): Estimate {
  const byRequests = requestsPerMinute === undefined ? seconds : times(requests, 60 / requestsPerMinute);
  const byTokens = tokensPerMinute === undefined ? seconds : times(tokensToSend(texts), 60 / tokensPerMinute);
  return slower(seconds, slower(byRequests, byTokens));
}

function slower(a: Estimate, b: Estimate): Estimate {
  const basis = a.value >= b.value ? a.basis : b.basis;
  return { value: Math.max(a.value, b.value), low: Math.max(a.low, b.low), high: Math.max(a.high, b.high), basis };
}

/** A wide guess: the formula's growth is pgvector's own, its constant one machine's. */
function indexBuildSeconds(index: PlannedVectorIndex, rows: number, dimensions: number): Estimate {
  const seconds =
    index.lists === undefined
      ? rows * Math.log(Math.max(2, rows)) * dimensions * HNSW_SECONDS
      : rows * index.lists * dimensions * IVFFLAT_SECONDS;
  return within(seconds, INDEX_FACTOR);
}
