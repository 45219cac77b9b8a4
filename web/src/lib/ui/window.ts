// Which rows of a long list are drawn.

export interface Window {
  first: number;
  /** One past the last. */
  end: number;
}

/** Rows beyond each edge, so that fast scrolling shows no gap. */
const MARGIN = 8;

export function rowsInView(scrolled: number, height: number, row: number, count: number): Window {
  const first = Math.max(0, Math.floor(scrolled / row) - MARGIN);
  const end = Math.min(count, Math.ceil((scrolled + height) / row) + MARGIN);
  return { first: Math.min(first, end), end };
}

/** Where to scroll so that a row is seen; `undefined` where it is seen already. */
export function scrollToShow(
  index: number,
  scrolled: number,
  height: number,
  row: number,
): number | undefined {
  if (index * row < scrolled) return index * row;
  if ((index + 1) * row > scrolled + height) return (index + 1) * row - height;
  return undefined;
}
