import { beforeEach, expect, test, vi } from 'vitest';

import { EventStream, type Source } from './stream';

class FakeSource extends EventTarget implements Source {
  readyState: number = 0;
  constructor(readonly url: string) {
    super();
  }
  close(): void {
    this.readyState = 2;
  }
  say(type: string, data: unknown): void {
    this.dispatchEvent(new MessageEvent(type, { data: JSON.stringify(data) }));
  }
}

let opened: FakeSource[];
const open = (url: string) => {
  const source = new FakeSource(url);
  opened.push(source);
  return source;
};
const handlers = () => ({ event: vi.fn(), live: vi.fn(), state: vi.fn(), refused: vi.fn() });

beforeEach(() => {
  opened = [];
  vi.useFakeTimers();
});

test('begins where the lists were and hands events on', () => {
  const got = handlers();
  new EventStream(41, got, open);
  expect(opened[0]?.url).toContain('since=41');
  opened[0]?.dispatchEvent(new Event('open'));
  opened[0]?.say('put', { type: 'put', revision: 42 });
  opened[0]?.say('live', { type: 'host' });
  expect(got.state).toHaveBeenLastCalledWith('live');
  expect(got.event).toHaveBeenCalledWith({ type: 'put', revision: 42 });
  expect(got.live).toHaveBeenCalledOnce();
});

test('leaves a short break to the browser', () => {
  const got = handlers();
  new EventStream(1, got, open);
  opened[0]?.dispatchEvent(new Event('error'));
  vi.advanceTimersByTime(60_000);
  expect(got.state).toHaveBeenLastCalledWith('reconnecting');
  expect(opened).toHaveLength(1);
});

test('opens anew after the last event when the browser gave up', () => {
  const got = handlers();
  const stream = new EventStream(1, got, open);
  opened[0]?.say('delete', { type: 'delete', revision: 9 });
  opened[0]?.close();
  opened[0]?.dispatchEvent(new Event('error'));
  expect(got.refused).toHaveBeenCalledOnce();
  vi.advanceTimersByTime(500);
  expect(opened[1]?.url).toContain('since=9');
  stream.close();
  opened[1]?.dispatchEvent(new Event('error'));
  vi.advanceTimersByTime(60_000);
  expect(opened).toHaveLength(2);
});
