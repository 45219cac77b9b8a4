// Times relative to now, and the absolute one for the tooltip.

const STEPS: readonly [Intl.RelativeTimeFormatUnit, number][] = [
  ['year', 31_557_600],
  ['month', 2_629_800],
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
];

const relatives = new Map<string, Intl.RelativeTimeFormat>();
const absolutes = new Map<string, Intl.DateTimeFormat>();

function cached<T>(map: Map<string, T>, key: string, make: () => T): T {
  const held = map.get(key) ?? make();
  map.set(key, held);
  return held;
}

/** `3 minutes ago`, in the page's language. */
export function relative(at: number, now: number, locale: string): string {
  const seconds = Math.round((at - now) / 1000);
  const [unit, length] = STEPS.find(([, least]) => Math.abs(seconds) >= least) ?? ['second', 1];
  const format = cached(relatives, locale, () => {
    return new Intl.RelativeTimeFormat(locale, { numeric: 'auto' });
  });
  return format.format(Math.trunc(seconds / length), unit);
}

/** The absolute time, to the second. */
export function absolute(at: number, locale: string): string {
  const format = cached(absolutes, locale, () => {
    return new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'medium' });
  });
  return format.format(at);
}

/** A length of time in its two largest parts: `2 h 5 min`, `12 s`. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  if (hours > 0) return `${hours} h ${minutes} min`;
  if (minutes > 0) return `${minutes} min ${whole % 60} s`;
  return `${whole} s`;
}
