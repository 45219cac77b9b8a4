import { expect, test } from 'vitest';

import { Collection } from './collection.svelte';

const thing = (id: string, name: string, revision: number) => ({
  metadata: { id, name, revision, labels: {}, created: '' },
});

test('an older object never undoes a newer one', () => {
  const held = new Collection();
  held.put(thing('1', 'a', 5));
  held.put(thing('1', 'b', 4));
  expect(held.byName('a')?.metadata.revision).toBe(5);
  expect(held.byName('b')).toBeUndefined();
});

test('a name follows its object, and passes to another', () => {
  const held = new Collection();
  held.put(thing('1', 'a', 1));
  held.put(thing('2', 'a', 2));
  held.put(thing('1', 'c', 3));
  expect(held.find('a')?.metadata.id).toBe('2');
  expect(held.find('c')?.metadata.id).toBe('1');
  held.remove('2');
  expect(held.find('a')).toBeUndefined();
  expect(held.size).toBe(1);
});
