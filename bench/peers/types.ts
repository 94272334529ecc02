/** A line on a contender's stdin: encode, with the setting so named. */
export interface PeerCommand {
  /** Kept for the commands that follow. */
  readonly texts?: readonly string[];
  readonly encode: string;
  /** Only so many of the texts; all unless said. */
  readonly first?: number;
}

/** A contender's first line, once its model is loaded. */
export interface PeerIntroduction {
  readonly versions: Readonly<Record<string, string>>;
  /** The ways in which its users would call it; the fastest is measured. */
  readonly settings: readonly string[];
}

/** A contender's answer to a command. */
export interface PeerEncoding {
  /** Encoding alone, texts in memory to vectors in memory. */
  readonly seconds: number;
  /** Float32, little-endian, `[texts, dimensions]`, as base64. */
  readonly vectors: string;
}

/** What prepare_model.py says of a model that it laid out. */
export interface ModelSpec {
  readonly dimensions: number;
  readonly layers: number;
  readonly pooling: 'mean' | 'cls';
  readonly normalize: boolean;
  readonly maxTokens: number;
}

/** One line of the result. */
export interface PeerResult {
  readonly name: string;
  /** The setting that was measured. */
  readonly setting: string;
  readonly versions: Readonly<Record<string, string>>;
  /** Texts a second, round by round. */
  readonly rates: readonly number[];
  /** Against the reference's vectors of the same texts: mean and smallest over all texts and rounds. */
  readonly cosine: { readonly mean: number; readonly min: number };
}
