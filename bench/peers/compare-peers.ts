import { cosine } from '../../src/vector/math.ts';
import { interleave } from '../measure.ts';
import { EQUAL_COSINE, isFullPrecision, REFERENCE } from './contenders.ts';
import { type Peer, type PeerProgram, startPeer } from './start-peer.ts';
import type { PeerEncoding, PeerResult } from './types.ts';

export interface Comparison {
  readonly results: readonly PeerResult[];
  /** Contenders that could not be measured, with the reason. */
  readonly leftOut: readonly { readonly name: string; readonly reason: string }[];
}

/** Rounds by which a contender's fastest setting is found, and texts a round. */
const TRIAL_ROUNDS = 2;
const TRIAL_TEXTS = 128;
/** Threads of the last contender spin for a while before they sleep. */
const SETTLE_MS = 500;

/**
 * Starts all programs, finds each one's fastest setting, then measures them in turn, round after round. The vectors of
 * every round are held against those of the reference, the first program.
 */
export async function comparePeers(
  programs: readonly PeerProgram[],
  texts: readonly string[],
  rounds: number,
  log: (line: string) => void,
): Promise<Comparison> {
  const leftOut: { name: string; reason: string }[] = [];
  const peers: Peer[] = [];
  try {
    for (const program of programs) {
      try {
        peers.push(await startPeer(program));
        log(`${program.name} is loaded`);
      } catch (error) {
        if (program.name === REFERENCE) throw error;
        leftOut.push({ name: program.name, reason: error instanceof Error ? error.message : String(error) });
      }
    }
    const chosen = await chooseSettings(peers, texts, log);
    // Unmeasured: reembed finds its token budget on the first large call, and the rounds meet all alike.
    for (const peer of peers) await peer.encode({ encode: chosen.get(peer) ?? '' });
    const measured = await measure(peers, chosen, texts, rounds, log);
    const results = measured.filter((result) => !isFullPrecision(result.name) || result.cosine.mean >= EQUAL_COSINE);
    for (const { name, cosine } of measured.filter((result) => !results.includes(result))) {
      leftOut.push({
        name,
        reason: `its vectors differ: mean cosine ${cosine.mean.toFixed(4)}, smallest ${cosine.min.toFixed(4)}`,
      });
    }
    return { results, leftOut };
  } finally {
    await Promise.all(peers.map((peer) => peer.close()));
  }
}

/** Warms every setting up on the trial's texts and returns each contender's fastest. */
async function chooseSettings(
  peers: readonly Peer[],
  texts: readonly string[],
  log: (line: string) => void,
): Promise<ReadonlyMap<Peer, string>> {
  const seconds = new Map<string, number>();
  const key = (peer: Peer, setting: string): string => `${peer.name}: ${setting}`;
  for (const peer of peers) for (const encode of peer.settings) await peer.encode({ texts, encode, first: 16 });
  for (let round = 0; round < TRIAL_ROUNDS; round++) {
    for (const peer of peers) {
      await settle();
      // With one setting there is nothing to choose.
      for (const encode of peer.settings.length === 1 ? [] : peer.settings) {
        const trial = await peer.encode({ encode, first: TRIAL_TEXTS });
        const known = seconds.get(key(peer, encode)) ?? Number.POSITIVE_INFINITY;
        seconds.set(key(peer, encode), Math.min(known, trial.seconds));
      }
    }
  }
  const timeOf = (peer: Peer, setting: string): number => seconds.get(key(peer, setting)) ?? Number.POSITIVE_INFINITY;
  const trialTexts = Math.min(TRIAL_TEXTS, texts.length);
  return new Map(
    peers.map((peer) => {
      for (const setting of peer.settings.length === 1 ? [] : peer.settings) {
        log(`${key(peer, setting)}: ${(trialTexts / timeOf(peer, setting)).toFixed(0)} texts/s in the trial`);
      }
      const best = peer.settings.reduce((a, b) => (timeOf(peer, b) < timeOf(peer, a) ? b : a));
      return [peer, best];
    }),
  );
}

async function measure(
  peers: readonly Peer[],
  chosen: ReadonlyMap<Peer, string>,
  texts: readonly string[],
  rounds: number,
  log: (line: string) => void,
): Promise<PeerResult[]> {
  const settingOf = (peer: Peer): string => chosen.get(peer) ?? '';
  const cosines = new Map<string, number[]>(peers.map(({ name }) => [name, []]));
  let reference: readonly Float32Array[] | undefined;
  const run = async (peer: Peer): Promise<number> => {
    await settle();
    const encoding = await peer.encode({ encode: settingOf(peer) });
    const vectors = vectorsOf(encoding, texts.length);
    reference ??= vectors;
    cosines.get(peer.name)?.push(...cosinesOf(vectors, reference));
    log(`${peer.name}: ${(texts.length / encoding.seconds).toFixed(1)} texts/s`);
    return texts.length / encoding.seconds;
  };
  const measured = await interleave(
    rounds,
    peers.map((peer) => ({ name: peer.name, run: () => run(peer) })),
  );
  return peers.map((peer) => {
    const own = cosines.get(peer.name) ?? [];
    return {
      name: peer.name,
      setting: settingOf(peer),
      versions: peer.versions,
      rates: measured.find(({ name }) => name === peer.name)?.rates ?? [],
      cosine: { mean: own.reduce((sum, value) => sum + value, 0) / own.length, min: Math.min(...own) },
    };
  });
}

function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
}

function vectorsOf({ vectors }: PeerEncoding, count: number): readonly Float32Array[] {
  // Copied into a buffer of its own: a pooled one need not be aligned to 4 bytes.
  const all = new Float32Array(new Uint8Array(Buffer.from(vectors, 'base64')).buffer);
  const width = all.length / count;
  return Array.from({ length: count }, (_, i) => all.subarray(i * width, (i + 1) * width));
}

function cosinesOf(vectors: readonly Float32Array[], reference: readonly Float32Array[]): number[] {
  return reference.map((expected, i) => cosine(expected, vectors[i] ?? new Float32Array(expected.length)));
}
