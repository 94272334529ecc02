/** `$1,234.50`, `−$20.00`; below a dollar with up to four places, so that cents and their parts show. */
export function usd(value: number): string {
  const places = Math.abs(value) < 1 && value !== 0 ? 4 : 2;
  const text = Math.abs(value).toLocaleString('en-US', { minimumFractionDigits: 2, maximumFractionDigits: places });
  return `${value < 0 ? '−' : ''}$${text}`;
}
