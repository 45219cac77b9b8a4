// Which images the list shows, and in which order. All in memory.
import type { Image, ImagePhase } from '../../lib/api/types';

export type Column = 'name' | 'phase' | 'format' | 'fileSize' | 'virtualSize' | 'modified';
export interface Sort {
  by: Column;
  down: boolean;
}

// What moves or needs attention comes first.
const PHASES: readonly ImagePhase[] = [
  'arriving',
  'uploading',
  'downloading',
  'converting',
  'encrypting',
  'decrypting',
  'exporting',
  'checking',
  'damaged',
  'unreadable',
  'failed',
  'missing',
  'ready',
  'trashed',
];

const names = new Intl.Collator('en', { numeric: true });

type Compare = (a: Image, b: Image) => number;

const COMPARE: Record<Column, Compare> = {
  name: (a, b) => names.compare(a.metadata.name, b.metadata.name),
  phase: (a, b) => PHASES.indexOf(a.status.phase) - PHASES.indexOf(b.status.phase),
  format: (a, b) => names.compare(a.status.format ?? '', b.status.format ?? ''),
  fileSize: (a, b) => a.status.fileSize - b.status.fileSize,
  virtualSize: (a, b) => (a.status.virtualSize ?? 0) - (b.status.virtualSize ?? 0),
  modified: (a, b) => a.status.modified - b.status.modified,
};

/** In order; equal ones by name. */
export function sorted(images: readonly Image[], { by, down }: Sort): Image[] {
  const sign = down ? -1 : 1;
  return images.toSorted((a, b) => sign * COMPARE[by](a, b) || COMPARE.name(a, b));
}

/** Those with every word of `text` in name, path or format, and in the phase where one is given. */
export function filtered(images: readonly Image[], text: string, phase: string): readonly Image[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0 && phase === '') return images;
  return images.filter((image) => {
    if (phase !== '' && image.status.phase !== phase) return false;
    const { metadata, spec, status } = image;
    const subject = `${metadata.name} ${spec.path} ${status.format ?? ''}`.toLowerCase();
    return words.every((word) => subject.includes(word));
  });
}
