/** Where a record is: which segment, and which record of it. */
export interface Place {
  readonly segment: number;
  readonly record: number;
}

const FIRST_ENTRIES = 1024;
/** Slots an entry: at most half of them are taken, so that a chain of collisions stays short. */
const SLOTS_PER_ENTRY = 2;
export const MAX_SEGMENTS = 65_536;

/**
 * From a key to the place of its record: open addressing in typed arrays, 22 bytes an entry when full. Eight bytes of a key are kept; the
 * record itself holds all of it, which is compared when it is read.
 */
export class KeyIndex {
  #size = 0;
  #keys = new Uint32Array(2 * FIRST_ENTRIES);
  #records = new Uint32Array(FIRST_ENTRIES);
  #segments = new Uint16Array(FIRST_ENTRIES);
  /** Number of an entry, counted from 1; 0 is a free slot. */
  #slots = new Uint32Array(SLOTS_PER_ENTRY * FIRST_ENTRIES);

  get size(): number {
    return this.#size;
  }

  /** Memory of the arrays. */
  get bytes(): number {
    return [this.#keys, this.#records, this.#segments, this.#slots].reduce((sum, array) => sum + array.byteLength, 0);
  }

  find(key: Buffer): Place | undefined {
    const entry = this.#slots[this.#slotOf(key.readUInt32LE(0), key.readUInt32LE(4))] ?? 0;
    if (entry === 0) return undefined;
    return { segment: this.#segments[entry - 1] ?? 0, record: this.#records[entry - 1] ?? 0 };
  }

  /** The newest place of a key wins. */
  set(key: Buffer, { segment, record }: Place): void {
    if (this.#size === this.#records.length) this.#grow();
    const low = key.readUInt32LE(0);
    const high = key.readUInt32LE(4);
    const slot = this.#slotOf(low, high);
    const found = this.#slots[slot] ?? 0;
    const entry = found === 0 ? ++this.#size : found;
    this.#slots[slot] = entry;
    this.#keys[2 * (entry - 1)] = low;
    this.#keys[2 * (entry - 1) + 1] = high;
    this.#records[entry - 1] = record;
    this.#segments[entry - 1] = segment;
  }

  /** The slot of a key, or the free one where it belongs. Keys are hashes: their bits are spread already. */
  #slotOf(low: number, high: number): number {
    const mask = this.#slots.length - 1;
    for (let slot = low & mask; ; slot = (slot + 1) & mask) {
      const entry = this.#slots[slot] ?? 0;
      if (entry === 0) return slot;
      if (this.#keys[2 * (entry - 1)] === low && this.#keys[2 * (entry - 1) + 1] === high) return slot;
    }
  }

  #grow(): void {
    this.#keys = enlarged(this.#keys, new Uint32Array(2 * this.#keys.length));
    this.#records = enlarged(this.#records, new Uint32Array(2 * this.#records.length));
    this.#segments = enlarged(this.#segments, new Uint16Array(2 * this.#segments.length));
    this.#slots = new Uint32Array(2 * this.#slots.length);
    for (let entry = 1; entry <= this.#size; entry++) {
      const at = 2 * (entry - 1);
      this.#slots[this.#slotOf(this.#keys[at] ?? 0, this.#keys[at + 1] ?? 0)] = entry;
    }
  }
}

function enlarged<T extends Uint32Array | Uint16Array>(from: T, into: T): T {
  into.set(from);
  return into;
}
