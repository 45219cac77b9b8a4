// Amounts as people read them: binary units, one decimal, cut and not rounded, as in the CLI.

const UNITS: readonly [string, number][] = [
  ['TiB', 2 ** 40],
  ['GiB', 2 ** 30],
  ['MiB', 2 ** 20],
  ['KiB', 2 ** 10],
];

/** `1.5 GiB`, `512 MiB`, `17 B`. What is shown is never more than what is there. */
export function size(bytes: number): string {
  const [unit, scale] = UNITS.find(([, least]) => bytes >= least) ?? ['B', 1];
  if (bytes % scale === 0) return `${bytes / scale} ${unit}`;
  return `${(Math.floor((bytes / scale) * 10) / 10).toFixed(1)} ${unit}`;
}

/** `1.5 MiB/s`. */
export function rate(bytesPerSecond: number): string {
  return `${size(Math.round(bytesPerSecond))}/s`;
}

/** A share from 0 to 1 as `42 %`. */
export function percent(share: number): string {
  return `${Math.floor(share * 100)} %`;
}

/** The first 12 digits of a digest. */
export function shortDigest(digest: string): string {
  return digest.slice(0, 12);
}
