import type { Dtype } from '../../config/types.ts';
import { ModelError } from '../../errors.ts';
import { CONFIG_FILES, chooseGraph, DTYPES, GRAPHS, weightFiles } from '../model-layout.ts';

export interface ChosenFiles {
  readonly dtype: Dtype;
  readonly graph: string;
  /** The small files first, then the graph and its weights. */
  readonly files: readonly string[];
}

/**
 * Which files of a repository are needed for inference in one precision. Only names that are known are ever taken, so that no name of
 * the server's leads out of the directory, and neither code nor pickled weights (`.py`, `.bin`, `.pt`) come along.
 * @param paths the names of all files of the repository.
 * @throws ModelError `onnx_missing`, `dtype_missing` or `tokenizer_missing`, each with the ways on.
 */
export function chooseFiles(repo: string, paths: readonly string[], dtype: Dtype | undefined): ChosenFiles {
  const chosen = chooseGraph(paths, dtype);
  if (chosen === undefined) throw withoutGraph(repo, paths, dtype);
  if (!paths.includes('tokenizer.json')) {
    throw new ModelError('tokenizer_missing', `${repo} has no tokenizer.json, which every model here needs.`, {
      hint: `Look for an export with one, such as ${exportsOf(repo)}.`,
    });
  }
  const { graph } = chosen;
  const configs = CONFIG_FILES.filter((name) => paths.includes(name));
  return { ...chosen, files: [...configs, graph, ...weightFiles(graph, paths)] };
}

function withoutGraph(repo: string, paths: readonly string[], dtype: Dtype | undefined): ModelError {
  const present = DTYPES.filter((each) => chooseGraph(paths, each) !== undefined);
  if (dtype !== undefined && present.length > 0) {
    const message = `${repo} has no ${dtype} graph, it has ${present.join(' and ')}; looked for ${GRAPHS[dtype].join(', ')}.`;
    return new ModelError('dtype_missing', message, {
      hint: `Run "reembed model pull ${repo} --dtype ${present[0]}".`,
      context: { repo, dtype, present },
    });
  }
  return new ModelError(
    'onnx_missing',
    `${repo} has no ONNX graph; looked for ${Object.values(GRAPHS).flat().join(', ')}.`,
    {
      hint:
        `Pull an export of it, such as ${exportsOf(repo)}; or make one ("optimum-cli export onnx --model ${repo} --task feature-extraction ` +
        `<directory>", a reranker with --task text-classification) and set EMBEDDING_MODEL, or RERANK_MODEL, to that directory.`,
    },
  );
}

/** Organisations that publish exports under the original's name. */
function exportsOf(repo: string): string {
  const name = repo.split('/').at(-1) ?? repo;
  return `onnx-community/${name}-ONNX, onnx-community/${name} or Xenova/${name}`;
}
