// The one store: lists at the start, then the event stream. Nothing here polls.
import { api, asProblem } from '../api/client';
import { EventStream, type StreamState } from '../api/stream';
import type { AnyObject, Event, Host, Image, LiveEvent, Problem, Vm } from '../api/types';
import { Activity } from './activity.svelte';
import { Collection } from './collection.svelte';
import { Live } from './usage.svelte';

/** Changes before the page was opened that Activity asks for. */
const PAST = 200;
const RETRY = 2000;

export class World {
  readonly images = new Collection<Image>();
  readonly vms = new Collection<Vm>();
  readonly activity = new Activity();
  readonly live = new Live();

  host = $state.raw<Host>();
  connection = $state<StreamState>('connecting');
  /** The lists have been read at least once. */
  loaded = $state(false);
  /** Why the lists could not be read. */
  problem = $state.raw<Problem>();

  #stream: EventStream | undefined;
  #snapshot = 0;
  #allKnown = false;
  #pending: Event[] | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;

  async start(): Promise<void> {
    this.stop();
    if (!(await this.#list())) {
      this.#retry = setTimeout(() => void this.start(), RETRY);
      return;
    }
    this.#stream = new EventStream(Math.max(0, this.#snapshot - PAST), {
      event: (event) => this.#receive(event),
      live: (event) => this.#receiveLive(event),
      state: (state) => (this.connection = state),
      // A session that ended is noticed by the answer to this.
      refused: () => void api.session().catch(() => {}),
    });
  }

  stop(): void {
    clearTimeout(this.#retry);
    this.#stream?.close();
    this.#stream = undefined;
  }

  /** Takes over an object that an answer carried, without waiting for its event. */
  take(object: AnyObject): void {
    if (object.kind === 'Image') this.images.put(object);
    else if (object.kind === 'Vm') this.vms.put(object);
    else if (!this.host || this.host.metadata.revision <= object.metadata.revision) {
      this.host = object;
    }
  }

  async #list(): Promise<boolean> {
    try {
      const [images, vms, host] = await Promise.all([api.images(), api.vms(), api.host()]);
      this.images.replace(images.items);
      this.vms.replace(vms.items);
      this.host = host;
      this.#snapshot = Math.min(images.revision, vms.revision);
      this.#readProgress([...images.items, ...vms.items]);
      this.problem = undefined;
      this.loaded = true;
      return true;
    } catch (error) {
      this.problem = asProblem(error);
      return false;
    }
  }

  #readProgress(objects: (Image | Vm)[]): void {
    this.live.progress.clear();
    for (const { metadata, status } of objects) {
      if (status.progress) this.live.setProgress(metadata.id, status.progress);
    }
  }

  #receive(event: Event): void {
    if (this.#pending) {
      this.#pending.push(event);
      return;
    }
    if (event.type === 'reset') {
      void this.#relist();
      return;
    }
    const past = event.revision <= this.#snapshot;
    if (!past) this.#knowAll();
    this.activity.note(event, past ? undefined : Date.now());
    if (past) return;
    if (event.type === 'put') this.#applyPut(event.object);
    else this.#applyDelete(event.id);
  }

  // With the first change after the lists, what the past did not tell of is known from them.
  #knowAll(): void {
    if (this.#allKnown) return;
    this.#allKnown = true;
    for (const image of this.images.all) this.activity.know(image);
    for (const vm of this.vms.all) this.activity.know(vm);
  }

  #applyPut(object: AnyObject): void {
    this.take(object);
    if (object.kind === 'Vm' && !object.status.process) this.live.forgetVm(object.metadata.id);
  }

  #applyDelete(id: string): void {
    this.images.remove(id);
    this.vms.remove(id);
    this.live.forgetVm(id);
    this.live.setProgress(id, null);
  }

  // The log no longer reaches back. What comes meanwhile waits, or the older lists would undo it.
  async #relist(): Promise<void> {
    this.#pending = [];
    if (!(await this.#list())) {
      this.#pending = undefined;
      this.connection = 'reconnecting';
      this.#retry = setTimeout(() => void this.start(), RETRY);
      return;
    }
    const waiting = this.#pending;
    this.#pending = undefined;
    for (const event of waiting) this.#receive(event);
  }

  #receiveLive(event: LiveEvent): void {
    if (event.type === 'host') this.live.host.push(event.usage);
    else if (event.type === 'usage') this.live.pushVm(event.id, event.usage);
    else this.live.setProgress(event.id, event.progress);
  }
}

export const world = new World();
