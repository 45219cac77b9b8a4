// All objects of one kind, by id and by name, as the server last told them.
import type { Metadata } from '../api/types';

export class Collection<T extends { metadata: Metadata }> {
  #byId = new Map<string, T>();
  #idByName = new Map<string, string>();
  // Objects are replaced whole, so one counter is enough to say that something changed. Deep
  // reactivity over 10,000 objects would cost more than drawing them.
  #version = $state(0);

  /** Every object, in no particular order. */
  readonly all: T[] = $derived.by(() => {
    void this.#version;
    return [...this.#byId.values()];
  });

  get size(): number {
    void this.#version;
    return this.#byId.size;
  }

  byId(id: string): T | undefined {
    void this.#version;
    return this.#byId.get(id);
  }

  byName(name: string): T | undefined {
    void this.#version;
    const id = this.#idByName.get(name);
    return id === undefined ? undefined : this.#byId.get(id);
  }

  /** By id or by name, as in the API's paths. */
  find(ref: string): T | undefined {
    return this.byName(ref) ?? this.byId(ref);
  }

  /** What is held, without becoming a dependency of the reader. */
  peek(id: string): T | undefined {
    return this.#byId.get(id);
  }

  /** Takes over an object unless a later one is held already. */
  put(object: T): void {
    const { id, name, revision } = object.metadata;
    const held = this.#byId.get(id);
    if (held && held.metadata.revision > revision) return;
    if (held && held.metadata.name !== name) this.#forgetName(held);
    this.#byId.set(id, object);
    this.#idByName.set(name, id);
    this.#version += 1;
  }

  remove(id: string): void {
    const held = this.#byId.get(id);
    if (!held) return;
    this.#byId.delete(id);
    this.#forgetName(held);
    this.#version += 1;
  }

  /** Holds exactly these. */
  replace(objects: T[]): void {
    this.#byId = new Map(objects.map((object) => [object.metadata.id, object]));
    this.#idByName = new Map(objects.map(({ metadata }) => [metadata.name, metadata.id]));
    this.#version += 1;
  }

  // A name may have gone to another object in the meantime.
  #forgetName({ metadata }: T): void {
    if (this.#idByName.get(metadata.name) === metadata.id) this.#idByName.delete(metadata.name);
  }
}
