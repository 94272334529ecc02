import { z } from 'zod';
import { messageOf } from '../../errors.ts';
import { explainAnswer, HubError, type HubRequest } from './hub-errors.ts';
import { type HubAnswer, type HubSettings, requestHub } from './hub-request.ts';

/** How the content of a file is told: files in Git LFS by sha256, small ones by the hash that Git gives a blob. */
export interface Checksum {
  readonly algorithm: 'sha256' | 'git-sha1';
  readonly value: string;
}

export interface HubFile {
  /** Relative to the repository, with slashes. */
  readonly path: string;
  readonly bytes: number;
  readonly checksum: Checksum;
}

/** A repository at one commit. */
export interface HubModel {
  readonly repo: string;
  readonly commit: string;
  /** As its card says, e.g. `mit`; `unknown` where it says nothing. */
  readonly license: string;
  /** The names of all files, as the server gives them: not to be trusted. */
  readonly paths: readonly string[];
  /** What is known of each file without asking for it. */
  readonly listed: ReadonlyMap<string, HubFile>;
}

const infoSchema = z.looseObject({
  sha: z.string().regex(/^[0-9a-f]{40,64}$/),
  siblings: z.array(
    z.looseObject({
      rfilename: z.string(),
      size: z.int().nonnegative().nullish(),
      blobId: z.string().nullish(),
      lfs: z.looseObject({ sha256: z.string(), size: z.int().nonnegative() }).nullish(),
    }),
  ),
  cardData: z
    .looseObject({ license: z.union([z.string(), z.array(z.string())]).nullish(), license_name: z.string().nullish() })
    .nullish(),
});
type Info = z.infer<typeof infoSchema>;

/**
 * The files of a repository at a branch, tag or commit. Source of the form: the Hub's API, `GET /api/models/{repo}/revision/{revision}`.
 * @throws HubError `model_not_found`, `revision_not_found`, `hub_gated`, `hub_token_refused`, `hub_unreachable`, `hub_answer_invalid`
 */
export async function readModelInfo(
  hub: HubSettings,
  repo: string,
  revision: string,
  signal?: AbortSignal,
): Promise<HubModel> {
  const path = `/api/models/${repo}/revision/${encodeURIComponent(revision)}?blobs=true`;
  const answer = await requestHub(hub, path, { signal });
  try {
    await assertAnswered(hub, { repo, revision, file: undefined }, answer);
    const { data, error } = infoSchema.safeParse(await answer.response.json());
    if (data === undefined) throw notAHub(hub, z.prettifyError(error).replaceAll('\n', ' '));
    const files = data.siblings.flatMap((sibling) => listedFile(sibling) ?? []);
    return {
      repo,
      commit: data.sha,
      license: licenseOf(data),
      paths: data.siblings.map(({ rfilename }) => rfilename),
      listed: new Map(files.map((file) => [file.path, file])),
    };
  } catch (error) {
    signal?.throwIfAborted();
    throw error instanceof HubError ? error : notAHub(hub, messageOf(error), error);
  } finally {
    answer.done();
  }
}

/**
 * Size and checksum of one file by its headers, for servers whose list does not say them.
 * @throws HubError `hub_checksum_missing` where the headers do not say them either; else as `readModelInfo`.
 */
export async function readFileInfo(
  hub: HubSettings,
  { repo, commit }: Pick<HubModel, 'repo' | 'commit'>,
  path: string,
  signal?: AbortSignal,
): Promise<HubFile> {
  const answer = await requestHub(hub, filePath(repo, commit, path), { method: 'HEAD', signal, stayOnHub: true });
  answer.done();
  if (answer.response.status >= 400) {
    await assertAnswered(hub, { repo, revision: commit, file: path }, answer);
  }
  const checksum = linkedChecksum(answer.hubHeaders);
  const size = answer.hubHeaders.get('x-linked-size') ?? answer.hubHeaders.get('content-length');
  if (checksum !== undefined && size !== null && /^\d+$/.test(size)) return { path, bytes: Number(size), checksum };
  throw new HubError('hub_checksum_missing', `${hub.hubUrl} says neither size nor checksum of ${path} of ${repo}.`, {
    retryable: false,
    hint: 'Set HF_ENDPOINT to the Hub or to a mirror that passes on its headers X-Linked-Size and X-Linked-ETag.',
  });
}

/** The checksum in the Hub's headers: of a file in LFS `X-Linked-ETag`, else `ETag`. */
export function linkedChecksum(headers: Headers): Checksum | undefined {
  const tag = headers.get('x-linked-etag') ?? headers.get('etag');
  const value = tag?.replace(/^W\//, '').replaceAll('"', '').toLowerCase() ?? '';
  if (/^[0-9a-f]{64}$/.test(value)) return { algorithm: 'sha256', value };
  return /^[0-9a-f]{40}$/.test(value) ? { algorithm: 'git-sha1', value } : undefined;
}

/** Where a file of a repository is asked for. */
export function filePath(repo: string, commit: string, path: string): string {
  return `/${repo}/resolve/${commit}/${path.split('/').map(encodeURIComponent).join('/')}`;
}

/** @throws HubError unless the answer is 200 or 206. */
export async function assertAnswered(
  hub: HubSettings,
  what: Pick<HubRequest, 'repo' | 'revision' | 'file'>,
  { response, from }: HubAnswer,
): Promise<void> {
  if (response.status === 200 || response.status === 206) return;
  await response.body?.cancel();
  throw explainAnswer({ ...what, hubUrl: hub.hubUrl, token: hub.keys.huggingface }, response, from);
}

function listedFile({ rfilename: path, size, blobId, lfs }: Info['siblings'][number]): HubFile | undefined {
  if (lfs && /^[0-9a-f]{64}$/.test(lfs.sha256)) {
    return { path, bytes: lfs.size, checksum: { algorithm: 'sha256', value: lfs.sha256 } };
  }
  if (typeof size !== 'number' || !blobId || !/^[0-9a-f]{40}$/.test(blobId)) return undefined;
  return { path, bytes: size, checksum: { algorithm: 'git-sha1', value: blobId } };
}

function licenseOf({ cardData }: Info): string {
  const { license, license_name: name } = cardData ?? {};
  const first = Array.isArray(license) ? license.join(', ') : license;
  return (first === 'other' ? name : first) || first || 'unknown';
}

function notAHub({ hubUrl }: HubSettings, problem: string, cause?: unknown): HubError {
  return new HubError('hub_answer_invalid', `${hubUrl} does not answer as the Hub does: ${problem}.`, {
    retryable: false,
    hint: 'Check HF_ENDPOINT: it is the address of the Hub or of a mirror of it.',
    cause,
  });
}
