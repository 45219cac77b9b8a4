// What moves on an image, and what it is called.
import type { Image, ImagePhase, Progress } from '../../lib/api/types';
import { world } from '../../lib/state/world.svelte';

const AT_REST: ReadonlySet<ImagePhase> = new Set([
  'ready',
  'damaged',
  'unreadable',
  'failed',
  'trashed',
  'missing',
]);

/** Work on it: the live figure; for an arriving file at least the bytes that are there. */
export function progressOf(image: Image): Progress | undefined {
  const { phase, fileSize } = image.status;
  if (AT_REST.has(phase)) return undefined;
  const live = world.live.progress.get(image.metadata.id);
  if (live) return live;
  return phase === 'arriving' ? { task: 'receiving', done: fileSize } : undefined;
}

/** `qcow2`, or `raw.xz` where there is a compression around it; empty while it is not known. */
export function formatName({ status }: Image): string {
  return [status.format, status.compression].filter(Boolean).join('.');
}
