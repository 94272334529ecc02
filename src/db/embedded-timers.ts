/** PostgresMain's IDLE_STATS_UPDATE_TIMEOUT, in milliseconds. */
const IDLE_STATISTICS = 10_000;

let depth = 0;
let original = globalThis.setTimeout;

function install(): void {
  depth += 1;
  if (depth > 1) return;
  original = globalThis.setTimeout;
  const watched: typeof setTimeout = Object.assign((...args: Parameters<typeof setTimeout>) => {
    const timer = original(...args);
    if (args[1] === IDLE_STATISTICS && new Error().stack?.includes('setitimer')) timer.unref();
    return timer;
  }, original);
  globalThis.setTimeout = watched;
}

function uninstall(): void {
  depth -= 1;
  if (depth === 0) globalThis.setTimeout = original;
}

/**
 * Runs `work` so that PGlite keeps no process alive: when Postgres goes idle it arms a timer for its statistics, which
 * Emscripten turns into a `setTimeout` that nobody can reach and that holds every process for ten seconds.
 */
export async function withUnrefTimers<T>(work: () => Promise<T>): Promise<T> {
  install();
  try {
    return await work();
  } finally {
    uninstall();
  }
}
