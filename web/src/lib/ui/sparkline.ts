// Where the points of a sparkline lie.

/** Values that fit a sparkline. */
export const SHOWN = 60;

/** The points of the curve, or nothing where there is less than a line. */
export function points(values: number[], width: number, height: number, max?: number): string {
  const shown = values.slice(-SHOWN);
  if (shown.length < 2) return '';
  const top = max ?? Math.max(...shown);
  const step = width / (SHOWN - 1);
  const start = width - (shown.length - 1) * step;
  return shown
    .map((value, index) => {
      const share = top > 0 ? Math.min(1, Math.max(0, value / top)) : 0;
      const y = height - 1 - share * (height - 2);
      return `${round(start + index * step)},${round(y)}`;
    })
    .join(' ');
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
