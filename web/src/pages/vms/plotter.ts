// uPlot, dressed in the page's colours. Loaded on its own, when the first plot is shown.
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';

export interface PlotOptions {
  labels: string[];
  max: number | undefined;
  format: (value: number) => string;
}

/** Columns: times in seconds, then one row of values for each label. */
export type Columns = [number[], ...number[][]];

const HEIGHT = 96;
/** The top of a scale without an end, in bytes a second: noise is not to look like work. */
const LEAST_RATE = 1024;
/** Seconds that a plot shows while there is little to show. */
const LEAST_SPAN = 60;

/** `−40 s`, `−2.5 min`. */
function ago(seconds: number): string {
  if (seconds < 90) return `−${Math.round(seconds)} s`;
  return `−${Math.round(seconds / 6) / 10} min`;
}

/** A plot in `element`, as wide as it; the caller gives it data and destroys it. */
export function plot(element: HTMLElement, options: PlotOptions): uPlot {
  const style = getComputedStyle(element);
  // A canvas knows no custom properties: colours are resolved through an element that has them.
  const resolve = (name: string) => {
    const probe = document.createElement('span');
    probe.style.color = `var(${name})`;
    element.append(probe);
    const { color } = getComputedStyle(probe);
    probe.remove();
    return color;
  };
  const strokes = [resolve('--accent'), resolve('--amber')];
  const quiet = resolve('--quiet');
  const line = resolve('--line');
  const font = `11px ${style.fontFamily}`;
  return new uPlot(
    {
      width: element.clientWidth,
      height: HEIGHT,
      padding: [6, 0, 0, 0],
      legend: { show: false },
      cursor: { show: false },
      scales: {
        x: {
          range: (_, first, latest) => [
            Math.min(first ?? 0, (latest ?? 0) - LEAST_SPAN),
            latest ?? 0,
          ],
        },
        y: { range: (_, __, top) => [0, Math.max(top ?? 0, options.max ?? LEAST_RATE)] },
      },
      axes: [
        {
          size: 22,
          font,
          stroke: quiet,
          grid: { show: false },
          ticks: { show: false },
          splits: (_, __, first, latest) =>
            [0.75, 0.5, 0.25].map((s) => latest - s * (latest - first)),
          values: (plot, splits) => splits.map((at) => ago((plot.scales.x?.max ?? at) - at)),
        },
        {
          size: 76,
          font,
          stroke: quiet,
          grid: { stroke: line, width: 1 },
          ticks: { show: false },
          splits: (_, __, ___, top) => [0, top / 2, top],
          values: (_, splits) => splits.map((value) => options.format(value)),
        },
      ],
      series: [
        {},
        ...options.labels.map((label, index) => ({
          label,
          stroke: strokes[index % strokes.length] ?? quiet,
          width: 1.5,
          points: { show: false },
        })),
      ],
    },
    [[], ...options.labels.map(() => [])] as Columns,
    element,
  );
}
