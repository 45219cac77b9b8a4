import { expect, test } from 'vitest';

import { percent, rate, size } from './size';
import { duration, relative } from './time';

test('sizes are binary, with one decimal, never more than there is', () => {
  expect(size(0)).toBe('0 B');
  expect(size(512 * 2 ** 20)).toBe('512 MiB');
  expect(size(1.5 * 2 ** 30)).toBe('1.5 GiB');
  expect(size(2 * 2 ** 30 - 1)).toBe('1.9 GiB');
  expect(rate(1024.4)).toBe('1 KiB/s');
  expect(percent(0.999)).toBe('99 %');
});

test('times are relative, durations have two parts', () => {
  const now = Date.UTC(2026, 0, 2);
  expect(relative(now - 90_000, now, 'en')).toBe('1 minute ago');
  expect(relative(now, now, 'en')).toBe('now');
  expect(relative(now - 86_400_000, now, 'zh-CN')).toBe('昨天');
  expect(duration(7500)).toBe('2 h 5 min');
  expect(duration(59.6)).toBe('1 min 0 s');
});
