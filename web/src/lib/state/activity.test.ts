import { expect, test } from 'vitest';

import type { AnyObject, Event } from '../api/types';
import { Activity } from './activity.svelte';

function put(revision: number, id: string, phase: string, reason?: string): Event {
  const metadata = { id, name: `name-${id}`, revision, labels: {}, created: '' };
  const object = { kind: 'Image', metadata, spec: {}, status: { phase, reason } };
  return { type: 'put', revision, object: object as unknown as AnyObject };
}

test('tells phases, not every change', () => {
  const log = new Activity();
  log.note(put(1, 'a', 'arriving'), 1);
  log.note(put(2, 'a', 'arriving'), 2);
  log.note(put(3, 'a', 'ready'), 3);
  expect(log.entries.map(({ what, phase }) => [what, phase])).toEqual([
    ['phase', 'ready'],
    ['appeared', 'arriving'],
  ]);
});

test('two changes of one transaction are two lines; a replayed one is none', () => {
  const log = new Activity();
  log.note(put(7, 'a', 'ready'), 1);
  log.note(put(7, 'b', 'ready'), 1);
  log.note(put(6, 'c', 'ready'), 1);
  expect(log.entries.map(({ id }) => id)).toEqual(['b', 'a']);
});

test('a deleted object keeps its name in the log', () => {
  const log = new Activity();
  log.note(put(1, 'a', 'ready'), 1);
  log.note({ type: 'delete', revision: 2, kind: 'Image', id: 'a' }, 2);
  expect(log.entries[0]).toMatchObject({ what: 'deleted', name: 'name-a', before: 'ready' });
});

test('what was there before the page does not appear anew', () => {
  const log = new Activity();
  log.note(put(1, 'a', 'ready'));
  expect(log.entries[0]?.what).toBe('phase');
  expect(log.entries[0]?.at).toBeUndefined();
});
