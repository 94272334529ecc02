/** Cells in columns under a head: numbers to the right, the last column as it is. */
export function textTable(head: readonly string[], lines: readonly (readonly string[])[]): string {
  const widths = head.map((name, i) => Math.max(name.length, ...lines.map((line) => line[i]?.length ?? 0)));
  const numeric = head.map((_, i) => lines.every((line) => /^[\d.,–-]*$/.test(line[i] ?? '')));
  return [head, ...lines]
    .map((cells) =>
      cells
        .map((cell, i) => (numeric[i] === true ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
