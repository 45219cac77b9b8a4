// The console's connection: output by offset, one writer, found again after a break. No terminal here.

import type { ConsoleNotice, ConsoleRequest } from '../api/types';

export type Link = 'connecting' | 'connected' | 'reconnecting' | 'ended';
export type Writer = 'unknown' | 'mine' | 'other' | 'none';

export interface ConsoleHandlers {
  output(bytes: Uint8Array): void;
  /** Output between what was shown and what comes is no longer kept. */
  gap(): void;
  link(link: Link): void;
  writer(writer: Writer, reason?: string): void;
  /** Whether the VM still has a console, so that a lost connection is worth another. */
  expected(): boolean;
}

/** The part of `WebSocket` that is used, so that a test can stand in for it. */
export interface Socket {
  binaryType: BinaryType;
  onopen: ((event: Event) => void) | null;
  onmessage: ((event: MessageEvent) => void) | null;
  onclose: ((event: CloseEvent) => void) | null;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(): void;
}
export type OpenSocket = (path: string) => Socket;

const FIRST_WAIT = 300;
const LONGEST_WAIT = 10_000;

export class ConsoleConnection {
  #socket: Socket | undefined;
  /** The offset of the next byte of output; unknown before the first. */
  #offset: number | undefined;
  #open = false;
  #ended = false;
  #closed = false;
  #wantsToWrite: boolean;
  #wait = FIRST_WAIT;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly vm: string,
    private readonly handlers: ConsoleHandlers,
    write: boolean,
    private readonly open: OpenSocket = openSocket,
  ) {
    this.#wantsToWrite = write;
    handlers.link('connecting');
    this.#connect();
  }

  /** Sends what was typed; the server takes it only from the writer. */
  type(bytes: Uint8Array<ArrayBuffer>): void {
    if (this.#open) this.#socket?.send(bytes);
  }

  /** Asks to write; with `steal`, takes it from whoever writes. */
  claim(steal = false): void {
    this.#wantsToWrite = true;
    this.#send(steal ? { type: 'claim', steal: true } : { type: 'claim' });
  }

  release(): void {
    this.#wantsToWrite = false;
    this.#send({ type: 'release' });
    this.handlers.writer('none');
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#socket?.close();
  }

  #connect(): void {
    const from = this.#offset ?? 'tail';
    const socket = this.open(`/v1/vms/${encodeURIComponent(this.vm)}/console?from=${from}`);
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => this.#opened();
    socket.onmessage = ({ data }) => {
      if (typeof data === 'string') this.#control(JSON.parse(data) as ConsoleNotice);
      else this.#output(new Uint8Array(data as ArrayBuffer));
    };
    socket.onclose = () => this.#lost();
    this.#socket = socket;
  }

  #opened(): void {
    this.#open = true;
    this.#wait = FIRST_WAIT;
    this.handlers.link('connected');
    if (this.#wantsToWrite) this.claim();
  }

  #output(bytes: Uint8Array): void {
    if (this.#offset !== undefined) this.#offset += bytes.length;
    this.handlers.output(bytes);
  }

  #control(message: ConsoleNotice): void {
    if (message.type === 'offset') {
      if (this.#offset !== undefined && message.offset > this.#offset) this.handlers.gap();
      this.#offset = message.offset;
    } else if (message.type === 'writer') {
      this.handlers.writer(message.granted ? 'mine' : 'other', message.reason);
    } else {
      this.#end();
    }
  }

  #end(): void {
    this.#ended = true;
    this.handlers.writer('none');
    this.handlers.link('ended');
  }

  #lost(): void {
    this.#open = false;
    if (this.#closed || this.#ended) return;
    if (!this.handlers.expected()) {
      this.#end();
      return;
    }
    this.handlers.link('reconnecting');
    this.handlers.writer('unknown');
    this.#timer = setTimeout(() => this.#connect(), this.#wait);
    this.#wait = Math.min(this.#wait * 2, LONGEST_WAIT);
  }

  #send(message: ConsoleRequest): void {
    if (this.#open) this.#socket?.send(JSON.stringify(message));
  }
}

function openSocket(path: string): Socket {
  const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
  return new WebSocket(`${scheme}//${location.host}${path}`);
}
