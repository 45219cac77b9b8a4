// Files in the watched folder, as people copy them.
import { closeSync, openSync, readSync, rmSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';

import { required } from './browser';

const CHUNK = 1 << 20;

/** A copy under way: bytes come when the test says so, as with a slow `scp`. */
export class Copy {
  readonly path: string;
  readonly size: number;
  #from: number;
  #to: number;
  #done = 0;

  constructor(source: string, name: string) {
    this.path = inFolder(name);
    this.size = statSync(source).size;
    this.#from = openSync(source, 'r');
    this.#to = openSync(this.path, 'wx');
  }

  /** Copies on until this share of the file is there. */
  upTo(share: number): void {
    const goal = Math.floor(this.size * share);
    const buffer = Buffer.alloc(CHUNK);
    while (this.#done < goal) {
      const wanted = Math.min(CHUNK, goal - this.#done);
      const got = readSync(this.#from, buffer, 0, wanted, this.#done);
      if (got === 0) break;
      writeSync(this.#to, buffer, 0, got);
      this.#done += got;
    }
  }

  /** The writer lets go: finished, or broken off. */
  close(): void {
    closeSync(this.#from);
    closeSync(this.#to);
  }
}

export function inFolder(name: string): string {
  return join(required('KINGLET_IMAGES'), name);
}

export function removeFile(name: string): void {
  rmSync(inFolder(name), { force: true });
}
