// The last minutes of what the host and each VM use.
import { SvelteMap } from 'svelte/reactivity';

import type { HostUsage, Progress, VmUsage } from '../api/types';

/** Samples kept: five minutes at one a second. */
const KEPT = 300;

export interface Sample<T> {
  /** Milliseconds since 1970, by the browser's clock. */
  at: number;
  value: T;
}

export class History<T> {
  samples = $state.raw<Sample<T>[]>([]);

  get last(): T | undefined {
    return this.samples.at(-1)?.value;
  }

  push(value: T, at = Date.now()): void {
    this.samples = [...this.samples.slice(1 - KEPT), { at, value }];
  }
}

export class Live {
  readonly host = new History<HostUsage>();
  readonly progress = new SvelteMap<string, Progress>();
  #vms = new SvelteMap<string, History<VmUsage>>();

  vm(id: string): History<VmUsage> | undefined {
    return this.#vms.get(id);
  }

  pushVm(id: string, usage: VmUsage): void {
    let history = this.#vms.get(id);
    if (!history) {
      history = new History();
      this.#vms.set(id, history);
    }
    history.push(usage);
  }

  setProgress(id: string, progress: Progress | null): void {
    if (progress) this.progress.set(id, progress);
    else this.progress.delete(id);
  }

  /** The object is gone, or it no longer runs. */
  forgetVm(id: string): void {
    this.#vms.delete(id);
  }
}
