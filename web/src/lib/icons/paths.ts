// Our icons: strokes on a 16-unit square.

export const paths = {
  overview: 'M2.5 2.5h4.5v4.5h-4.5zM9 2.5h4.5v4.5h-4.5zM2.5 9h4.5v4.5h-4.5zM9 9h4.5v4.5h-4.5z',
  images:
    'M8 2.2c3.2 0 5.5.9 5.5 2s-2.3 2-5.5 2-5.5-.9-5.5-2 2.3-2 5.5-2zM2.5 4.2v7.6c0 1.1 2.3 2 5.5 2s5.5-.9 5.5-2V4.2M2.5 8c0 1.1 2.3 2 5.5 2s5.5-.9 5.5-2',
  vms: 'M2 3h12v8H2zM6 13.5h4M8 11v2.5M5 6l1.5 1.2L5 8.4',
  activity: 'M1.5 8.5h3l2-5 3 9 2-4h3',
  settings: 'M2 4.5h7M12.5 4.5H14M2 11.5h1.5M7 11.5h7M10.7 2.8v3.4M5.2 9.8v3.4',
  search: 'M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9zM10.3 10.3l3.5 3.5',
  copy: 'M5.5 5.5h8v8h-8zM3 10.5h-.5v-8h8v.5',
  check: 'M3 8.5l3.2 3.2L13 4.8',
  close: 'M4 4l8 8M12 4l-8 8',
  refresh: 'M13.5 8A5.5 5.5 0 1 1 11.7 4M13.5 2v3h-3',
  plus: 'M8 3v10M3 8h10',
  play: 'M5 3l8 5-8 5z',
  stop: 'M4 4h8v8H4z',
  pause: 'M5 3.5v9M11 3.5v9',
  power: 'M8 2v6M4.7 4.3a5 5 0 1 0 6.6 0',
  console: 'M2 3h12v10H2zM4.8 6l2 2-2 2M8.5 10.5h3',
  trash: 'M3 4.5h10M6.5 4.5V3h3v1.5M4.5 4.5l.6 8.5h5.8l.6-8.5M6.8 7v3.5M9.2 7v3.5',
  restart: 'M2.5 8a5.5 5.5 0 1 0 1.8-4M2.5 2v3h3',
  disc: 'M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2zM8 6.7a1.3 1.3 0 1 1 0 2.6 1.3 1.3 0 0 1 0-2.6z',
  eject: 'M8 3l5 6H3zM3 12.5h10',
  back: 'M9.5 3.5L5 8l4.5 4.5',
  up: 'M4 10l4-4 4 4',
  down: 'M4 6l4 4 4-4',
  shield: 'M8 2l5 2v4c0 3-2.2 5-5 6-2.8-1-5-3-5-6V4z',
  warning: 'M8 2.5l6 11H2zM8 6.5v3.5M8 11.8v.2',
} as const;

export type IconName = keyof typeof paths;
