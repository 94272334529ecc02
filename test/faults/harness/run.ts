import { createRandom } from '../../helpers/fault-random.ts';
import { startScriptedServer } from '../../helpers/scripted-server.ts';
import { startTcpProxy } from '../../helpers/tcp-proxy.ts';
import { startApplication } from './application.ts';
import { Book } from './book.ts';
import type { BuiltProject } from './build-project.ts';
import { EXPAND, FINALIZE, ROLLBACK, SWAP, SYNC, startStage } from './commands.ts';
import { type JudgeOptions, judgeRows, judgeVectors, type Violation } from './judge.ts';
import { judgeCatalog } from './judge-catalog.ts';
import { slowly } from './kinds-provider.ts';
import type { Lane } from './lane.ts';
import type { RunPlan } from './plan-run.ts';
import { CLIENTS, openBook } from './segments.ts';
import { runStage, type ThrownFault } from './throw-faults.ts';
import { openWatch } from './watch.ts';
import type { World } from './world.ts';

export interface RunResult {
  readonly plan: RunPlan;
  readonly faults: readonly ThrownFault[];
  readonly violations: readonly Violation[];
  readonly remarks: readonly string[];
  /** Acknowledged operations, those whose answer did not come, and reads. */
  readonly operations: { readonly acknowledged: number; readonly unknown: number; readonly reads: number };
  readonly seconds: number;
  /** Each command, what was thrown at it, and its seconds. */
  readonly timings: readonly string[];
}

export interface RunOptions {
  readonly project: BuiltProject;
  readonly lane: Lane;
  readonly plan: RunPlan;
  readonly holdMs: number;
  /** Milliseconds between two operations of a client of the application. */
  readonly pauseMs?: number;
}

/** One run: a fresh table under an application, the chain with its faults, and the judgement. */
export async function runPlan(options: RunOptions): Promise<RunResult> {
  const { plan } = options;
  const began = performance.now();
  const book = new Book();
  const violations: Violation[] = [];
  const remarks: string[] = [];
  const timings: string[] = [];
  const faults: ThrownFault[] = [];
  const place = await options.lane.open(plan);
  const watch = openWatch(place.url);
  const proxy = await startTcpProxy(place.url);
  const service = plan.remote ? await startScriptedServer({ dimensions: 384 }) : undefined;
  if (service !== undefined) service.rule = slowly;
  await openBook(watch, book);
  const { habits, seed } = plan;
  const application = await startApplication(
    { url: place.url, seed, habits, clients: CLIENTS, pauseMs: options.pauseMs ?? 40 },
    book,
  );
  const running = new Set<ReturnType<World['start']>>();
  const violate: World['violate'] = (count, what) => void violations.push({ count, what });
  const world: World = {
    random: createRandom(seed + 1_000),
    url: place.url,
    watch,
    proxy,
    book,
    application,
    holdMs: options.holdMs,
    disk: place.disk,
    service,
    violations,
    remarks,
    timings,
    violate,
    start(stage, env = {}) {
      const started = startStage(options.project, stage, {
        ...environment(proxy.through(place.url), service?.urls.openai, place.directory),
        ...env,
      });
      running.add(started);
      return started;
    },
  };
  try {
    for (const { stage, faults: planned } of plan.stages) {
      faults.push(...(await runStage(world, stage, planned)));
      if (stage === ROLLBACK) await afterRollback(world, plan);
    }
    await application.stop();
    violations.push(...(await judge(world, plan)));
  } catch (error) {
    violate('left', `the run ended early: ${String(error)}`);
  } finally {
    for (const each of running) each.signal('SIGKILL');
    await application.stop().catch(() => undefined);
    await proxy.close();
    await service?.close();
    await watch.close();
    await place.close();
  }
  const { acknowledged, unknown, reads } = book;
  const seconds = (performance.now() - began) / 1000;
  return { plan, faults, violations, remarks, operations: { acknowledged, unknown, reads }, seconds, timings };
}

/** The old vectors are served again: they must be true while they are. */
async function afterRollback(world: World, { habits }: RunPlan): Promise<void> {
  world.book.epoch += 1;
  await world.application.pause(async () => {
    const old: JudgeOptions = {
      book: world.book,
      habits,
      side: 'old',
      column: 'embedding',
      heldAfterSwap: false,
    };
    for (const { count, what } of await judgeVectors(world.watch, old))
      world.violate(count, `after the rollback ${what}`);
  });
}

async function judge(world: World, { habits, stages }: RunPlan): Promise<Violation[]> {
  const { book, watch } = world;
  const finalized = stages.some(({ stage }) => stage === FINALIZE);
  const swapped = stages.some(({ stage }) => stage === SWAP);
  const expanded = stages.some(({ stage }) => stage === EXPAND);
  // With the old column the trigger goes, and with it the marks by which anybody could find what is stale.
  const heldAfterSwap = swapped && !finalized;
  const common = { book, habits, heldAfterSwap };
  if (heldAfterSwap && habits === 'text-only') {
    const { code, output } = await world.start(SYNC).exit;
    if (code !== 0) world.violate('left', `sync --once ended with ${code}: ${output}`);
  }
  return [
    ...(await judgeRows(watch, book)),
    ...(swapped ? await judgeVectors(watch, { ...common, side: 'new', column: 'embedding' }) : []),
    ...(swapped && !finalized
      ? await judgeVectors(watch, { ...common, side: 'old', column: 'embedding_old', mayLack: true })
      : []),
    ...(expanded ? await judgeCatalog(watch, finalized ? 'finalized' : swapped ? 'swapped' : 'backfilled') : []),
    ...book.contradictions.map((what): Violation => ({ count: what.startsWith('lost') ? 'lost' : 'stale', what })),
    ...book
      .unexplained()
      .map(({ what, message }): Violation => ({ count: 'errors', what: `${what} of the application: ${message}` })),
  ];
}

function environment(url: string, service: string | undefined, backups: string): Readonly<Record<string, string>> {
  const model =
    service === undefined
      ? { EMBEDDING_PROVIDER: 'hash', EMBEDDING_MODEL: 'hash/384' }
      : {
          EMBEDDING_PROVIDER: 'openai',
          EMBEDDING_MODEL: 'scripted',
          EMBEDDING_DIMENSIONS: '384',
          EMBEDDING_BASE_URL: service,
          EMBEDDING_API_KEY: 'sk-faults',
          EMBEDDING_REQUEST_TIMEOUT: '2s',
          REEMBED_VECTOR_CACHE: 'off',
        };
  return {
    ...model,
    DATABASE_URL: url,
    EMBEDDING_OLD_PROVIDER: 'hash',
    EMBEDDING_OLD_MODEL: 'hash/16',
    EMBEDDING_OLD_DIMENSIONS: '16',
    REEMBED_LEASE_SECONDS: '2',
    REEMBED_BATCH_ROWS: '50',
    REEMBED_CONCURRENCY: '2',
    REEMBED_WRITERS: '1',
    REEMBED_GATE: 'off',
    REEMBED_BACKUP: backups,
    REEMBED_CACHE_DIR: backups,
  };
}
