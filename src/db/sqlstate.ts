/** SQLSTATEs that reembed decides on, by the names of the manual's appendix "PostgreSQL Error Codes". */
export const SQLSTATE = {
  uniqueViolation: '23505',
  checkViolation: '23514',
  dataException: '22000',
  readOnlyTransaction: '25006',
  serializationFailure: '40001',
  deadlockDetected: '40P01',
  insufficientPrivilege: '42501',
  undefinedColumn: '42703',
  invalidObjectDefinition: '42P17',
  undefinedTable: '42P01',
  invalidSchemaName: '3F000',
  duplicateObject: '42710',
  diskFull: '53100',
  tooManyConnections: '53300',
  lockNotAvailable: '55P03',
  queryCanceled: '57014',
  idleInTransaction: '25P03',
  adminShutdown: '57P01',
  crashShutdown: '57P02',
  cannotConnectNow: '57P03',
} as const;

/** The SQLSTATE of what was thrown, looked for along the chain of causes. */
export function sqlStateOf(error: unknown): string | undefined {
  for (let current = error, depth = 0; current instanceof Error && depth < 8; current = current.cause, depth++) {
    const code = (current as { code?: unknown }).code;
    if (typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code)) return code;
  }
  return undefined;
}

const PASSING_STATES: ReadonlySet<string> = new Set([
  SQLSTATE.serializationFailure,
  SQLSTATE.deadlockDetected,
  SQLSTATE.lockNotAvailable,
  SQLSTATE.queryCanceled,
  SQLSTATE.idleInTransaction,
  SQLSTATE.adminShutdown,
  SQLSTATE.crashShutdown,
  SQLSTATE.cannotConnectNow,
  SQLSTATE.tooManyConnections,
]);

const CONNECTION_CODES: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOENT',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);

/** True for what the same statement may survive a moment later: lost connections, lock and serialisation failures. */
export function isPassingDatabaseError(error: unknown): boolean {
  const state = sqlStateOf(error);
  if (state !== undefined) return PASSING_STATES.has(state) || state.startsWith('08');
  return isConnectionLoss(error);
}

/** True when the connection broke or could not be made, as Node and pg report it. */
export function isConnectionLoss(error: unknown): boolean {
  for (let current = error, depth = 0; current instanceof Error && depth < 8; current = current.cause, depth++) {
    const code = (current as { code?: unknown }).code;
    if (typeof code === 'string' && CONNECTION_CODES.has(code)) return true;
    if (
      /Connection terminated|Client has encountered a connection error|timeout exceeded when trying to connect/.test(
        current.message,
      )
    ) {
      return true;
    }
  }
  return false;
}
