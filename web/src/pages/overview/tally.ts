// How many objects are in each phase.

export type Tally = [phase: string, count: number][];

/** The most frequent phase first. */
export function tally(objects: readonly { status: { phase: string } }[]): Tally {
  const counts = new Map<string, number>();
  for (const { status } of objects) counts.set(status.phase, (counts.get(status.phase) ?? 0) + 1);
  return [...counts].sort(([, a], [, b]) => b - a);
}
