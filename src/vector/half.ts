/** One table for all 65,536 half-precision patterns: conversion is a lookup. */
let table: Float32Array | undefined;

/** IEEE 754 binary16 bit patterns to float32. */
export function halfToFloat(halves: Uint16Array): Float32Array {
  table ??= buildTable();
  const lookup = table;
  return Float32Array.from(halves, (half) => lookup[half] ?? 0);
}

function buildTable(): Float32Array {
  return Float32Array.from({ length: 65_536 }, (_, bits) => {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 0x1f;
    const fraction = bits & 0x3ff;
    if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
    return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  });
}
