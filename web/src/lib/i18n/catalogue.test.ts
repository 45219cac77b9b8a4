import { expect, test } from 'vitest';

import { en } from './en';
import { zh } from './zh';

type Node = Record<string, unknown>;

/** Every leaf's path. */
function leaves(node: Node, path = ''): string[] {
  return Object.entries(node).flatMap(([key, value]) =>
    typeof value === 'object' && value !== null
      ? leaves(value as Node, `${path}${key}.`)
      : [`${path}${key}`],
  );
}

test('the languages say the same things', () => {
  expect(leaves(zh as unknown as Node).sort()).toEqual(leaves(en as unknown as Node).sort());
});
