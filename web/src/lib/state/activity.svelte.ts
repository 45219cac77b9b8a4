// What happened: each numbered change told as one line.
import type { AnyObject, Event } from '../api/types';

/** Lines kept. */
const KEPT = 1000;

export interface Entry {
  revision: number;
  /** When this page heard of it; absent for what happened before the page was opened. */
  at?: number;
  kind: string;
  id: string;
  name: string;
  what: 'appeared' | 'phase' | 'changed' | 'deleted';
  phase?: string;
  before?: string;
  reason?: string;
}

interface Seen {
  name: string;
  phase: string;
  reason: string;
}

export class Activity {
  /** The newest first. */
  entries = $state.raw<Entry[]>([]);
  #seen = new Map<string, Seen>();
  #last = 0;

  /**
   * Notes an event; a change without anything to tell leaves no line. `at` is absent for what
   * happened before the page was opened: then an unknown object may be an old one.
   */
  note(event: Event, at?: number): void {
    // One transaction may change several objects: equal revisions are different lines.
    if (event.type === 'reset' || event.revision < this.#last) return;
    this.#last = event.revision;
    const entry = event.type === 'put' ? this.#put(event, at) : this.#gone(event, at);
    if (entry) this.entries = [entry, ...this.entries.slice(0, KEPT - 1)];
  }

  /** An object known from a list: the next change of it is told as a change. */
  know(object: AnyObject): void {
    if (!this.#seen.has(object.metadata.id)) this.#seen.set(object.metadata.id, seenOf(object));
  }

  #put(event: Event & { type: 'put' }, at?: number): Entry | undefined {
    const { object, revision } = event;
    if (object.kind === 'Host') return undefined;
    const now = seenOf(object);
    const before = this.#seen.get(object.metadata.id);
    this.#seen.set(object.metadata.id, now);
    if (before && same(before, now)) return undefined;
    const isNew = !before && at !== undefined;
    const what = isNew ? 'appeared' : before?.phase === now.phase ? 'changed' : 'phase';
    return {
      revision,
      at,
      kind: object.kind,
      id: object.metadata.id,
      name: now.name,
      what,
      phase: now.phase,
      before: before?.phase,
      reason: now.reason || undefined,
    };
  }

  #gone(event: Event & { type: 'delete' }, at?: number): Entry {
    const before = this.#seen.get(event.id);
    this.#seen.delete(event.id);
    return {
      revision: event.revision,
      at,
      kind: event.kind,
      id: event.id,
      name: before?.name ?? event.id,
      what: 'deleted',
      before: before?.phase,
    };
  }
}

function same(a: Seen, b: Seen): boolean {
  return a.phase === b.phase && a.reason === b.reason && a.name === b.name;
}

function seenOf(object: AnyObject): Seen {
  if (object.kind === 'Host') return { name: object.metadata.name, phase: '', reason: '' };
  const exit = object.kind === 'Vm' ? object.status.exit?.message : undefined;
  return {
    name: object.metadata.name,
    phase: object.status.phase,
    reason: object.status.reason ?? exit ?? '',
  };
}
