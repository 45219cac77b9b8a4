import { expect, test } from 'vitest';

import { points, SHOWN } from './sparkline';
import { rowsInView, scrollToShow } from './window';

test('ten thousand rows draw only what is seen', () => {
  const { first, end } = rowsInView(180_000, 720, 36, 10_000);
  expect(first).toBeLessThanOrEqual(5000);
  expect(end).toBeGreaterThanOrEqual(5020);
  expect(end - first).toBeLessThan(50);
  expect(rowsInView(999_999, 720, 36, 3)).toEqual({ first: 3, end: 3 });
});

test('a row is brought into view by as little as needed', () => {
  expect(scrollToShow(5, 0, 720, 36)).toBeUndefined();
  expect(scrollToShow(20, 0, 720, 36)).toBe(36);
  expect(scrollToShow(2, 360, 720, 36)).toBe(72);
});

test('a curve ends at the right and stays within its height', () => {
  expect(points([1], 60, 20)).toBe('');
  const drawn = points(Array(100).fill(50), 60, 20, 10).split(' ');
  expect(drawn).toHaveLength(SHOWN);
  expect(drawn.at(-1)).toBe('60,1');
});
