// How a phase looks: a colour and a shape, always beside its word.
import type { Image, ImagePhase, VmPhase } from '../api/types';

export type Tone = 'blue' | 'green' | 'amber' | 'red' | 'grey';
export type Shape = 'bar' | 'ring' | 'disc' | 'dot-ring' | 'triangle' | 'square' | 'pause' | 'dash';

export interface Look {
  tone: Tone;
  shape: Shape;
}

const IMAGE: Record<ImagePhase, Look> = {
  arriving: { tone: 'blue', shape: 'bar' },
  uploading: { tone: 'blue', shape: 'bar' },
  downloading: { tone: 'blue', shape: 'bar' },
  converting: { tone: 'amber', shape: 'bar' },
  encrypting: { tone: 'amber', shape: 'bar' },
  decrypting: { tone: 'amber', shape: 'bar' },
  exporting: { tone: 'amber', shape: 'bar' },
  checking: { tone: 'blue', shape: 'ring' },
  ready: { tone: 'green', shape: 'dot-ring' },
  damaged: { tone: 'red', shape: 'triangle' },
  unreadable: { tone: 'red', shape: 'dash' },
  failed: { tone: 'red', shape: 'triangle' },
  trashed: { tone: 'grey', shape: 'square' },
  missing: { tone: 'grey', shape: 'dash' },
};

const VM: Record<VmPhase, Look> = {
  stopped: { tone: 'grey', shape: 'square' },
  waiting: { tone: 'amber', shape: 'ring' },
  starting: { tone: 'amber', shape: 'bar' },
  running: { tone: 'green', shape: 'disc' },
  paused: { tone: 'amber', shape: 'pause' },
  stopping: { tone: 'amber', shape: 'bar' },
  failed: { tone: 'red', shape: 'triangle' },
  deleting: { tone: 'amber', shape: 'bar' },
};

export function imageLook(image: Image): Look {
  if (isInUse(image)) return { tone: 'green', shape: 'disc' };
  return IMAGE[image.status.phase];
}

/** Ready, and somebody needs it: told as a state of its own. */
export function isInUse({ status }: Image): boolean {
  return status.phase === 'ready' && status.users.length > 0;
}

export function phaseLook(kind: string, phase: string): Look {
  const table: Record<string, Look> = kind === 'Vm' ? VM : IMAGE;
  return table[phase] ?? { tone: 'grey', shape: 'dash' };
}

export function vmLook(phase: VmPhase): Look {
  return VM[phase];
}
