import { AdapterError } from '../errors.ts';
import { compareSpaces, type WantedSpace } from './same-space.ts';
import type { ProjectionDirection, ProjectionEntry } from './types.ts';

/** Between which spaces a projection is looked for. */
export interface ProjectionWish {
  /** Undefined takes any: whoever only asks which model the vectors are of in the end. */
  readonly source: WantedSpace | undefined;
  readonly target: WantedSpace | undefined;
  readonly direction: ProjectionDirection;
}

/** Two projections that lead to the target one behind the other, where no single one does. */
export interface ProjectionChain {
  readonly parts: readonly [ProjectionEntry, ProjectionEntry];
  /** Composes and measures it: what a chain loses is not what its parts lose. */
  readonly command: string;
}

export interface ProjectionChoice {
  /** The one that keeps most, by the lower end of the interval of Recall@10; then the one of more samples. Never one that was not measured. */
  readonly best: ProjectionEntry | undefined;
  /** All measured ones that fit, the best first. */
  readonly fitting: readonly ProjectionEntry[];
  /** Of the right dimensions, but nobody has said which model one of the sides is: may be named, never chosen. */
  readonly unsure: readonly ProjectionEntry[];
  /** Offered where there is no best one. */
  readonly chains: readonly ProjectionChain[];
}

/** What of `entries` maps from one space to the other. */
export function chooseProjection(entries: readonly ProjectionEntry[], wish: ProjectionWish): ProjectionChoice {
  const possible = entries.filter(({ direction }) => direction === wish.direction);
  const fits = possible.map((entry) => ({ entry, fit: fitOf(entry, wish) }));
  const same = fits.filter(({ fit }) => fit === 'same').map(({ entry }) => entry);
  const fitting = same.filter(({ metrics }) => metrics !== undefined).sort(byQuality);
  const unsure = fits.filter(({ fit }) => fit === 'unsure').map(({ entry }) => entry);
  const best = fitting[0];
  return { best, fitting, unsure, chains: best === undefined ? findChains(possible, wish) : [] };
}

/** `1024D → 1536D`. */
export function describeWish({ source, target }: Pick<ProjectionWish, 'source' | 'target'>): string {
  const name = (space: WantedSpace | undefined): string => (space === undefined ? 'any model' : `${space.dimensions}D`);
  return `${name(source)} → ${name(target)}`;
}

/** The refusal where nothing fits, with what might and the command that trains one. */
export function noProjection(wish: ProjectionWish, { unsure, chains }: ProjectionChoice, dir: string): AdapterError {
  const [chain] = chains;
  const ids = unsure.map(({ id }) => id);
  const hint =
    chain !== undefined
      ? `Two behind each other lead there: "${chain.command}" composes and measures them. Or train one with "${trainCommand(wish)}".`
      : ids.length > 0
        ? `${ids.join(', ')} ${ids.length === 1 ? 'has' : 'have'} these dimensions, but it is not known that the models are those: say in "from" which model made the old vectors, or name the projection. Or train one with "${trainCommand(wish)}".`
        : `Train one with "${trainCommand(wish)}".`;
  return new AdapterError(
    'no_projection',
    `No pre-trained projection found for ${describeWish(wish)}${modelsOf(wish)} in ${dir}.`,
    {
      step: 'adapter',
      hint,
      context: {
        dir,
        direction: wish.direction,
        unsure: ids,
        chains: chains.map(({ parts }) => parts.map(({ id }) => id)),
      },
    },
  );
}

export function trainCommand({ direction }: Pick<ProjectionWish, 'direction'>): string {
  return `reembed adapter train --samples 1000${direction === 'query' ? ' --direction query' : ''}`;
}

function fitOf(entry: ProjectionEntry, { source, target }: Pick<ProjectionWish, 'source' | 'target'>) {
  const fits = [
    source === undefined ? 'same' : compareSpaces(entry.source, source).fit,
    target === undefined ? 'same' : compareSpaces(entry.target, target).fit,
  ];
  return fits.find((fit) => fit === 'other') ?? fits.find((fit) => fit === 'unsure') ?? 'same';
}

function byQuality(a: ProjectionEntry, b: ProjectionEntry): number {
  const low = (entry: ProjectionEntry): number => entry.metrics?.recallAt10.low ?? Number.NEGATIVE_INFINITY;
  return low(b) - low(a) || b.samples.training - a.samples.training || (a.createdAt < b.createdAt ? 1 : -1);
}

function findChains(entries: readonly ProjectionEntry[], { source, target }: ProjectionWish): ProjectionChain[] {
  const first = entries.filter((entry) => fitOf(entry, { source, target: undefined }) === 'same');
  const second = entries.filter((entry) => fitOf(entry, { source: undefined, target }) === 'same');
  return first
    .flatMap((a) =>
      second
        .filter((b) => a !== b && compareSpaces(a.target, b.source).fit === 'same')
        .map((b): ProjectionChain => ({ parts: [a, b], command: `reembed adapter compose ${a.id} ${b.id}` })),
    )
    .sort((a, b) => keptAtMost(b) - keptAtMost(a));
}

/** Only to put likelier chains first. */
function keptAtMost({ parts }: ProjectionChain): number {
  return parts.reduce((product, { metrics }) => product * (metrics?.recallAt10.retention ?? 0), 1);
}

/** ` (from legacy to all-MiniLM-L6-v2)`, as far as it is known. */
function modelsOf({ source, target }: ProjectionWish): string {
  const name = (space: WantedSpace | undefined): unknown => space?.reference?.model ?? space?.fingerprint?.name;
  const said = [['from', name(source)] as const, ['to', name(target)] as const].filter(
    ([, model]) => typeof model === 'string',
  );
  return said.length === 0 ? '' : ` (${said.map(([word, model]) => `${word} ${model}`).join(' ')})`;
}
