import { setTimeout as sleep } from 'node:timers/promises';
import type { ModelReference } from '../config/types.ts';
import { ConfigError, InterruptedError, messageOf } from '../errors.ts';
import { findPrice } from '../providers/prices.ts';
import type { Usage, UsageLedger } from '../providers/types.ts';
import { interrupted, type MigrationContext } from '../state/context.ts';
import { addUsage, openUsage, readRest, reserveUsage, type UsageAccount, type UsageLimits } from '../state/usage.ts';

/** A ledger in the state: it outlives the process, and all processes share it. */
export interface MigrationLedger extends UsageLedger {
  /** Writes down what is not written yet. */
  close(): Promise<void>;
}

/** Without limits nobody waits for what is written down: so often is enough, and a killed process loses no more. */
const FLUSH_MS = 1_000;
const SHORTEST_WAIT_MS = 50;
/** Another process may give back what it did not need. */
const LONGEST_WAIT_MS = 1_000;

/**
 * What a migration spends at a service, and the limits that the environment sets to it; undefined before 005, where nothing can be recorded.
 *
 * @throws ConfigError `price_unknown` for a budget that nobody can reckon with
 */
export async function openLedger(
  ctx: MigrationContext,
  reference: ModelReference,
): Promise<MigrationLedger | undefined> {
  const { budgetUsd, requestsPerMinute, tokensPerMinute, usdPerMillionTokens } = ctx.runtime.remote;
  const price = usdPerMillionTokens ?? findPrice(reference.provider, reference.model)?.usdPerMillionTokens;
  if (budgetUsd !== undefined && price === undefined) throw priceUnknown(reference, budgetUsd);
  const account = { stateSchema: ctx.runtime.stateSchema, migrationId: ctx.definition.id, price };
  if (!(await openUsage(ctx.db, account))) return undefined;
  const limits = { budgetUsd, requestsPerMinute, tokensPerMinute };
  const isLimited = Object.values(limits).some((limit) => limit !== undefined);
  return isLimited ? limitedLedger(ctx, reference, account, limits) : countingLedger(ctx, account);
}

/** Each request is taken out of what is left before it is sent. One that dies with its process stays spent: the service may have answered. */
function limitedLedger(
  ctx: MigrationContext,
  reference: ModelReference,
  account: UsageAccount,
  limits: UsageLimits,
): MigrationLedger {
  return {
    async admit(estimate, signal) {
      const tokens = Math.ceil(estimate);
      while (!(await reserveUsage(ctx.db, account, tokens, limits))) {
        const rest = await readRest(ctx.db, account, tokens, limits.budgetUsd);
        if (rest.beyondBudget) throw budgetReached(reference, rest, limits.budgetUsd ?? 0);
        await waitFor(Math.min(LONGEST_WAIT_MS, Math.max(SHORTEST_WAIT_MS, rest.minuteMs)), signal);
      }
    },
    async settle(admitted, { requests, tokens }) {
      const difference = { requests: requests - 1, tokens: tokens - Math.ceil(admitted) };
      // The answer is paid for and must not be lost with this; what was reserved for it stays spent.
      await addUsage(ctx.db, account, difference).catch((error: unknown) => {
        const message = `A request of ${tokens} tokens stays recorded at its estimate, ${Math.ceil(admitted)}: ${messageOf(error)}`;
        ctx.onProgress({ kind: 'warning', message });
      });
    },
    close: async () => undefined,
  };
}

function countingLedger(ctx: MigrationContext, account: UsageAccount): MigrationLedger {
  let unwritten: Usage = { requests: 0, tokens: 0 };
  let writtenAt = performance.now();

  async function write(): Promise<void> {
    const usage = unwritten;
    unwritten = { requests: 0, tokens: 0 };
    writtenAt = performance.now();
    if (usage.requests === 0 && usage.tokens === 0) return;
    try {
      await addUsage(ctx.db, account, usage);
    } catch (error) {
      unwritten = sum(unwritten, usage);
      throw error;
    }
  }

  return {
    admit: async () => undefined,
    async settle(_, usage) {
      unwritten = sum(unwritten, usage);
      // Nothing depends on it yet: what fails now is tried again with the next ones.
      if (performance.now() - writtenAt >= FLUSH_MS) await write().catch(() => undefined);
    },
    close: () =>
      write().catch((error: unknown) => {
        const { requests, tokens } = unwritten;
        const message = `${requests} requests with ${tokens} tokens could not be recorded: ${messageOf(error)}`;
        ctx.onProgress({ kind: 'warning', message });
      }),
  };
}

function sum(a: Usage, b: Usage): Usage {
  return { requests: a.requests + b.requests, tokens: a.tokens + b.tokens };
}

async function waitFor(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  await sleep(milliseconds, undefined, signal === undefined ? {} : { signal }).catch((error: unknown) => {
    throw signal?.aborted === true ? interrupted(signal, 'fill') : error;
  });
}

function priceUnknown({ provider, model }: ModelReference, budgetUsd: number): ConfigError {
  return new ConfigError(
    'price_unknown',
    `REEMBED_BUDGET_USD is ${budgetUsd}, but the price of ${provider} ${model} is unknown.`,
    {
      step: 'configuration',
      hint: 'Set EMBEDDING_PRICE to US dollars a million tokens (0 for a server of your own), or unset REEMBED_BUDGET_USD.',
    },
  );
}

function budgetReached(
  { provider, model }: ModelReference,
  { usd, cost }: { readonly usd: number; readonly cost: number },
  budgetUsd: number,
): InterruptedError {
  return new InterruptedError(
    'budget_reached',
    `${dollars(usd)} of REEMBED_BUDGET_USD=${budgetUsd} are spent, the next request to ${provider} ${model} would cost about ${dollars(cost)}; everything written so far is kept.`,
    {
      step: 'fill',
      hint: 'Raise REEMBED_BUDGET_USD (or correct EMBEDDING_PRICE) and run the same command again: it goes on where it stopped.',
      context: { spentUsd: usd, budgetUsd, nextUsd: cost },
    },
  );
}

function dollars(value: number): string {
  return `$${Number(value.toFixed(6))}`;
}
