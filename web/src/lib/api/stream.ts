// The event stream: opened once, resumed where it broke off, never polled.
import type { Event, LiveEvent } from './types';

export type StreamState = 'connecting' | 'live' | 'reconnecting';

export interface StreamHandlers {
  event(event: Event): void;
  live(event: LiveEvent): void;
  state(state: StreamState): void;
  /** The server closed it for good (signed out, or it does not know the stream): ask why. */
  refused(): void;
}

/** The part of `EventSource` that is used, so that a test can stand in for it. */
export type Source = Pick<EventTarget, 'addEventListener'> &
  Pick<EventSource, 'close' | 'readyState'>;
export type OpenSource = (url: string) => Source;

const CLOSED = 2;
const FIRST_WAIT = 500;
const LONGEST_WAIT = 15_000;

export class EventStream {
  #source: Source | undefined;
  #last: number;
  #wait = FIRST_WAIT;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;

  constructor(
    since: number,
    private readonly handlers: StreamHandlers,
    private readonly open: OpenSource = (url) => new EventSource(url),
  ) {
    this.#last = since;
    handlers.state('connecting');
    this.#connect();
  }

  close(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#source?.close();
  }

  #connect(): void {
    const source = this.open(`/v1/events?live=true&since=${this.#last}`);
    this.#source = source;
    source.addEventListener('open', () => {
      this.#wait = FIRST_WAIT;
      this.handlers.state('live');
    });
    source.addEventListener('error', () => this.#failed(source));
    for (const type of ['put', 'delete', 'reset']) {
      source.addEventListener(type, (message) => this.#numbered(message as MessageEvent<string>));
    }
    source.addEventListener('live', (message) => {
      this.handlers.live(JSON.parse((message as MessageEvent<string>).data) as LiveEvent);
    });
  }

  #numbered(message: MessageEvent<string>): void {
    const event = JSON.parse(message.data) as Event;
    this.#last = Math.max(this.#last, event.revision);
    this.handlers.event(event);
  }

  #failed(source: Source): void {
    if (this.#stopped) return;
    this.handlers.state('reconnecting');
    // While it is not closed, the browser itself reconnects, with Last-Event-ID.
    if (source.readyState !== CLOSED) return;
    source.close();
    this.handlers.refused();
    this.#timer = setTimeout(() => this.#connect(), this.#wait);
    this.#wait = Math.min(this.#wait * 2, LONGEST_WAIT);
  }
}
