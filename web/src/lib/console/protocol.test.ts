import { beforeEach, expect, test, vi } from 'vitest';

import { ConsoleConnection, type Socket } from './protocol';

class FakeSocket implements Socket {
  binaryType: BinaryType = 'blob';
  onopen: Socket['onopen'] = null;
  onmessage: Socket['onmessage'] = null;
  onclose: Socket['onclose'] = null;
  sent: unknown[] = [];
  constructor(readonly path: string) {}
  send(data: string | Uint8Array<ArrayBuffer>): void {
    this.sent.push(typeof data === 'string' ? JSON.parse(data) : data);
  }
  close(): void {
    this.onclose?.(new Event('close') as CloseEvent);
  }
  open(): void {
    this.onopen?.(new Event('open'));
  }
  control(message: object): void {
    this.onmessage?.(new MessageEvent('message', { data: JSON.stringify(message) }));
  }
  bytes(count: number): void {
    this.onmessage?.(new MessageEvent('message', { data: new ArrayBuffer(count) }));
  }
}

let sockets: FakeSocket[];
const open = (path: string) => {
  const socket = new FakeSocket(path);
  sockets.push(socket);
  return socket;
};
const handlers = () => ({
  output: vi.fn(),
  gap: vi.fn(),
  link: vi.fn(),
  writer: vi.fn(),
  expected: vi.fn(() => true),
});

beforeEach(() => {
  sockets = [];
  vi.useFakeTimers();
});

test('begins with the tail, asks to type, and comes back where it broke off', () => {
  const got = handlers();
  new ConsoleConnection('vm id', got, true, open);
  expect(sockets[0]?.path).toBe('/v1/vms/vm%20id/console?from=tail');
  sockets[0]?.open();
  expect(sockets[0]?.sent).toEqual([{ type: 'claim' }]);
  sockets[0]?.control({ type: 'offset', offset: 100 });
  sockets[0]?.bytes(20);
  sockets[0]?.close();
  expect(got.link).toHaveBeenLastCalledWith('reconnecting');
  vi.advanceTimersByTime(300);
  expect(sockets[1]?.path).toContain('from=120');
  sockets[1]?.open();
  sockets[1]?.control({ type: 'offset', offset: 120 });
  expect(got.gap).not.toHaveBeenCalled();
  sockets[1]?.control({ type: 'offset', offset: 500 });
  expect(got.gap).toHaveBeenCalledOnce();
});

test('someone else types until it is taken over', () => {
  const got = handlers();
  const connection = new ConsoleConnection('a', got, true, open);
  sockets[0]?.open();
  sockets[0]?.control({ type: 'writer', granted: false, reason: 'why' });
  expect(got.writer).toHaveBeenLastCalledWith('other', 'why');
  connection.claim(true);
  expect(sockets[0]?.sent.at(-1)).toEqual({ type: 'claim', steal: true });
  sockets[0]?.control({ type: 'writer', granted: true });
  expect(got.writer).toHaveBeenLastCalledWith('mine', undefined);
});

test('an end is an end, and so is closing', () => {
  const got = handlers();
  new ConsoleConnection('a', got, false, open);
  sockets[0]?.open();
  expect(sockets[0]?.sent).toEqual([]);
  sockets[0]?.control({ type: 'ended' });
  sockets[0]?.close();
  vi.advanceTimersByTime(60_000);
  expect(sockets).toHaveLength(1);
  expect(got.link).toHaveBeenLastCalledWith('ended');
});

test('nobody knocks at a console that is gone', () => {
  const got = handlers();
  new ConsoleConnection('a', got, false, open);
  got.expected.mockReturnValue(false);
  sockets[0]?.close();
  vi.advanceTimersByTime(60_000);
  expect(sockets).toHaveLength(1);
  expect(got.link).toHaveBeenLastCalledWith('ended');
});
