import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { lowestCosine } from '../canary.ts';
import { cosineLimit } from '../cosine-limit.ts';
import type { Canary, ModelFingerprint } from '../types.ts';
import { KeyIndex, MAX_SEGMENTS } from './key-index.ts';
import { decodeRecord, type KeptVector, type NewVector } from './record.ts';
import { readReference, touchReference, writeReference } from './reference-file.ts';
import { createSegment, KEYS_END, readKeys, readRecords, type SegmentWriter, VECTORS_END } from './segment.ts';

/**
 * The kept vectors of one model in one directory. Processes share it: each appends to a segment of its own, and reads those that it found
 * when it opened the directory.
 */
export class VectorStore {
  readonly #directory: string;
  readonly #fingerprint: ModelFingerprint;
  #index = new KeyIndex();
  #segments: string[] = [];
  #writer: { readonly segment: number; readonly to: SegmentWriter } | undefined;
  /** Appends one after the other. */
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(directory: string, fingerprint: ModelFingerprint) {
    this.#directory = directory;
    this.#fingerprint = fingerprint;
  }

  /** Makes the directory where it is missing. @throws what the file system throws */
  static async open(directory: string, fingerprint: ModelFingerprint): Promise<VectorStore> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const store = new VectorStore(directory, fingerprint);
    if ((await readReference(directory)) !== undefined) await touchReference(directory);
    else await writeReference(directory, { fingerprint, canary: undefined });
    await store.#readSegments();
    return store;
  }

  /** For looking only: nothing is made, and nothing is written. */
  static async peek(directory: string, fingerprint: ModelFingerprint): Promise<VectorStore> {
    const store = new VectorStore(directory, fingerprint);
    await store.#readSegments();
    return store;
  }

  get size(): number {
    return this.#index.size;
  }

  has(key: Buffer): boolean {
    return this.#index.find(key) !== undefined;
  }

  /** What is kept under the keys; undefined for a key where nothing is, or what is there is damaged. */
  async read(keys: readonly Buffer[]): Promise<(KeptVector | undefined)[]> {
    const places = keys.map((key) => this.#index.find(key));
    const bySegment = new Map<number, number[]>();
    for (const place of places) {
      if (place === undefined) continue;
      const records = bySegment.get(place.segment);
      if (records === undefined) bySegment.set(place.segment, [place.record]);
      else records.push(place.record);
    }
    const found = new Map<string, Buffer>();
    for (const [segment, records] of bySegment) {
      const name = this.#segments[segment] ?? '';
      const keep = (record: number, bytes: Buffer): unknown => found.set(`${segment}/${record}`, bytes);
      // A segment that was removed under our hands holds nothing any more.
      await readRecords(this.#directory, name, this.#fingerprint.dimensions, records, keep).catch(() => undefined);
    }
    return keys.map((key, i) => {
      const bytes = found.get(`${places[i]?.segment}/${places[i]?.record}`);
      return bytes === undefined ? undefined : decodeRecord(bytes, key);
    });
  }

  /** Resolves when the vectors outlive this process. @throws what the file system throws; the store must not be written to again then */
  async append(vectors: readonly NewVector[]): Promise<void> {
    if (vectors.length === 0) return;
    await this.#inTurn(async () => {
      const { segment, to } = await this.#openWriter();
      const first = await to.append(vectors);
      for (const [i, { key }] of vectors.entries()) this.#index.set(key, { segment, record: first + i });
    });
  }

  /** Removes everything when it was made by another model than `canary` comes from, or by one that nobody looked at. */
  async agree(canary: Canary): Promise<void> {
    const before = (await readReference(this.#directory))?.canary;
    const same = before !== undefined && lowestCosine(before, canary) >= cosineLimit(this.#fingerprint);
    if (same) return;
    await this.clear();
    await writeReference(this.#directory, { fingerprint: this.#fingerprint, canary });
  }

  async clear(): Promise<void> {
    await this.#inTurn(async () => {
      await this.#writer?.to.close();
      this.#writer = undefined;
      this.#segments = [];
      this.#index = new KeyIndex();
      const names = await readdir(this.#directory);
      const ours = names.filter((name) => name.endsWith(VECTORS_END) || name.endsWith(KEYS_END));
      for (const name of ours) await rm(join(this.#directory, name), { force: true });
      await writeReference(this.#directory, { fingerprint: this.#fingerprint, canary: undefined });
    });
  }

  async close(): Promise<void> {
    await this.#inTurn(async () => {
      await this.#writer?.to.close();
      this.#writer = undefined;
    });
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #openWriter() {
    if (this.#writer === undefined) {
      if (this.#segments.length === MAX_SEGMENTS) throw new Error(`it has ${MAX_SEGMENTS} segments`);
      const to = await createSegment(this.#directory, this.#fingerprint.dimensions);
      this.#writer = { segment: this.#segments.push(to.name) - 1, to };
    }
    return this.#writer;
  }

  async #readSegments(): Promise<void> {
    const files = await readdir(this.#directory);
    const names = files.filter((file) => file.endsWith(KEYS_END)).map((file) => file.slice(0, -KEYS_END.length));
    // Oldest first: what was asked for again because it was damaged is found where it is whole.
    for (const name of names.sort().slice(-MAX_SEGMENTS + 1)) {
      const segment = this.#segments.push(name) - 1;
      const tell = (key: Buffer, record: number): void => this.#index.set(key, { segment, record });
      // Another process may remove it meanwhile, or be about to write its first byte.
      await readKeys(this.#directory, name, this.#fingerprint.dimensions, tell).catch(() => 0);
    }
  }
}
