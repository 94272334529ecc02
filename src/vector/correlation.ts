/** Pearson's correlation of pairs that come one by one, in bounded memory. */
export interface CorrelationSums {
  add(x: number, y: number): void;
  /** -1 to 1; NaN of fewer than two pairs, and where one of the two never changes. */
  value(): number;
}

/** Means and sums of squares are carried along (Welford, Technometrics 4(3), 1962), so that nothing is lost where the values differ little. */
export function correlationSums(): CorrelationSums {
  let count = 0;
  let [meanX, meanY, squaresX, squaresY, products] = [0, 0, 0, 0, 0];
  return {
    add(x, y) {
      count++;
      const fromX = x - meanX;
      const fromY = y - meanY;
      meanX += fromX / count;
      meanY += fromY / count;
      squaresX += fromX * (x - meanX);
      squaresY += fromY * (y - meanY);
      products += fromX * (y - meanY);
    },
    value: () => (count < 2 ? Number.NaN : products / Math.sqrt(squaresX * squaresY)),
  };
}
