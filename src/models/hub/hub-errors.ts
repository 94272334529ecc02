import type { Secret } from '../../config/secret.ts';
import { ModelError, messageOf } from '../../errors.ts';

/** The Hub, or a server of its files, did not give what was asked for. `retryable`: the same request may succeed later. */
export class HubError extends ModelError {
  readonly retryable: boolean;

  constructor(
    code: string,
    message: string,
    details: { readonly retryable: boolean; readonly hint?: string | undefined; readonly cause?: unknown },
  ) {
    const { hint, cause } = details;
    super(code, message, { ...(hint === undefined ? {} : { hint }), cause });
    this.retryable = details.retryable;
  }
}

/** What was asked for, for messages. */
export interface HubRequest {
  /** `HF_ENDPOINT`. */
  readonly hubUrl: string;
  readonly repo: string;
  readonly revision: string;
  /** Undefined: the list of files. */
  readonly file: string | undefined;
  readonly token: Secret | undefined;
}

/**
 * The error that an answer other than 200 or 206 stands for. The Hub names its reason in `X-Error-Code`; to who is not signed in it
 * answers 401 for a repository that does not exist, so as not to tell which private ones do.
 */
export function explainAnswer(request: HubRequest, response: Response, from: URL): HubError {
  const { hubUrl, repo, revision, file, token } = request;
  const code = response.headers.get('x-error-code') ?? '';
  const said = response.headers.get('x-error-message') ?? '';
  const { status } = response;
  if (code === 'GatedRepo') return gated(request);
  if (code === 'RevisionNotFound') {
    return final('revision_not_found', `${repo} has no revision ${revision} on ${hubUrl}.`, {
      hint: `Name a branch, a tag or a whole commit with --revision; ${hubUrl}/${repo}/commits/main lists them.`,
    });
  }
  if (code === 'EntryNotFound') {
    return final('hub_file_missing', `${repo} has no ${file ?? 'such file'} at ${revision}.`, {
      hint: 'Run the same command again: the repository may have changed meanwhile.',
    });
  }
  if (status === 401 && code !== 'RepoNotFound' && token !== undefined) return tokenRefused(hubUrl, token);
  if (code === 'RepoNotFound' || ((status === 401 || status === 404) && file === undefined)) return notFound(request);
  return unexpected(request, response, from, said);
}

/** No answer came, or it broke off. */
export function explainFailure(hubUrl: string, from: URL, error: unknown): HubError {
  return new HubError('hub_unreachable', `${from.host} could not be asked: ${reasonOf(error)}.`, {
    retryable: true,
    hint: `HF_ENDPOINT is ${hubUrl}; check the network and run the same command again.`,
    cause: error,
  });
}

/** The reason of a failed `fetch` lies in the chain of its causes. */
export function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  if (cause instanceof AggregateError) return reasonOf(cause.errors[0]);
  return cause === undefined ? messageOf(error).replace(/\.$/, '') : reasonOf(cause);
}

function final(code: string, message: string, details: { readonly hint: string }): HubError {
  return new HubError(code, message, { retryable: false, ...details });
}

function gated({ hubUrl, repo, token }: HubRequest): HubError {
  const next =
    token === undefined
      ? 'then set HF_TOKEN to a token of the account that did'
      : `with the account that the token of ${token.source} belongs to`;
  return final('hub_gated', `${repo} is gated: its licence has to be accepted before its files are given out.`, {
    hint: `Accept it at ${hubUrl}/${repo}, ${next}, and run the same command again.`,
  });
}

function tokenRefused(hubUrl: string, token: Secret): HubError {
  return final('hub_token_refused', `${hubUrl} refused the token of ${token.source}.`, {
    hint: `Make a new one with the right to read at ${hubUrl}/settings/tokens, or unset it: public models need none.`,
  });
}

function notFound({ hubUrl, repo, token }: HubRequest): HubError {
  const access = token === undefined ? 'set HF_TOKEN' : `the token of ${token.source} needs the right to read it`;
  return final('model_not_found', `${hubUrl} has no model ${repo}, or it is private.`, {
    hint: `Check the name; for a private model ${access}.`,
  });
}

function unexpected({ hubUrl, repo, file, token }: HubRequest, response: Response, from: URL, said: string): HubError {
  const { status } = response;
  const reason = said === '' ? '' : ` (${(token?.redactFrom(said) ?? said).slice(0, 200)})`;
  const what = file === undefined ? repo : `${file} of ${repo}`;
  return new HubError('hub_refused', `${from.host} answered ${status} for ${what}${reason}, 200 was expected.`, {
    retryable: status === 408 || status === 429 || status >= 500,
    hint:
      status === 429
        ? 'The server asks for fewer requests: wait some minutes, or set HF_TOKEN, and run the same command again.'
        : `HF_ENDPOINT is ${hubUrl}; run the same command again later, or set HF_ENDPOINT to a mirror.`,
  });
}
