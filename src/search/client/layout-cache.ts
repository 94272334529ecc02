import type { SearchLayout } from './layout.ts';

/** After so long an index that somebody has built or dropped since is noticed; what a migration changes shows at once. */
const FRESH_MS = 60_000;

/** The layout that requests share; read by one of them, however many wait. */
export class LayoutCache {
  readonly #read: () => Promise<SearchLayout>;
  #present: { readonly layout: SearchLayout; readonly at: number } | undefined;
  #reading: Promise<SearchLayout> | undefined;

  constructor(read: () => Promise<SearchLayout>) {
    this.#read = read;
  }

  async get(): Promise<SearchLayout> {
    if (this.#present === undefined) return this.#refresh();
    // An old layout still serves: a request refuses what is no longer true.
    if (performance.now() - this.#present.at > FRESH_MS) this.#refresh().catch(() => undefined);
    return this.#present.layout;
  }

  /** Reads it anew, unless somebody has since `layout` was handed out. */
  async replace(layout: SearchLayout): Promise<void> {
    if (this.#present?.layout === layout) await this.#refresh();
  }

  #refresh(): Promise<SearchLayout> {
    this.#reading ??= this.#read()
      .then((layout) => {
        this.#present = { layout, at: performance.now() };
        return layout;
      })
      .finally(() => {
        this.#reading = undefined;
      });
    return this.#reading;
  }
}
