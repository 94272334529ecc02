/** `64 MB`, `1.5 GB`: powers of 1,024, as Postgres writes its settings. */
export function megabytes(bytes: number): string {
  const mb = bytes / 2 ** 20;
  if (mb >= 1024) return `${Number((mb / 1024).toPrecision(3))} GB`;
  return mb >= 10 ? `${Math.round(mb)} MB` : `${Number(mb.toPrecision(2))} MB`;
}
