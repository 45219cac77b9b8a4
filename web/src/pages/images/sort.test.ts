import { expect, test } from 'vitest';

import type { Image } from '../../lib/api/types';
import { filtered, sorted } from './sort';

const image = (name: string, phase: string, fileSize: number) =>
  ({
    metadata: { name },
    spec: { path: `${name}.img` },
    status: { phase, fileSize, format: 'raw' },
  }) as unknown as Image;
const images = [image('b-10', 'ready', 1), image('b-9', 'damaged', 3), image('a', 'arriving', 3)];
const names = (list: readonly Image[]) => list.map(({ metadata }) => metadata.name);

test('numbers in names count as numbers', () => {
  expect(names(sorted(images, { by: 'name', down: false }))).toEqual(['a', 'b-9', 'b-10']);
});

test('equal ones are ordered by name, whatever the direction', () => {
  expect(names(sorted(images, { by: 'fileSize', down: true }))).toEqual(['a', 'b-9', 'b-10']);
});

test('what moves comes first by state', () => {
  expect(names(sorted(images, { by: 'phase', down: false }))).toEqual(['a', 'b-9', 'b-10']);
});

test('every word must match, and the state', () => {
  expect(names(filtered(images, 'RAW b-', ''))).toEqual(['b-10', 'b-9']);
  expect(names(filtered(images, '', 'ready'))).toEqual(['b-10']);
  expect(filtered(images, '', '')).toBe(images);
});
