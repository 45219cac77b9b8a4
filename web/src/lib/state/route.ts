// The page's addresses. One table: every address is read and written here.

export type Route =
  | { page: 'overview' }
  | { page: 'images' }
  | { page: 'image'; name: string }
  | { page: 'vms' }
  | { page: 'vm-create'; image?: string; media?: string }
  | { page: 'vm'; name: string }
  | { page: 'vm-console'; name: string }
  | { page: 'activity' }
  | { page: 'settings' }
  | { page: 'not-found' };

/** What an address shows. The form is not below `/vms`: a VM may have any name. */
export function parseRoute(pathname: string, search = ''): Route {
  const parts = pathname.split('/').filter((part) => part !== '');
  const [first, second, third] = parts.map(decode);
  if (parts.length === 0) return { page: 'overview' };
  if (parts.length === 1 && first === 'create-vm') return formRoute(search);
  if (parts.length === 1 && isPlain(first)) return { page: first };
  if (second !== undefined && parts.length === 2) {
    if (first === 'images') return { page: 'image', name: second };
    if (first === 'vms') return { page: 'vm', name: second };
  }
  if (parts.length === 3 && first === 'vms' && second !== undefined && third === 'console') {
    return { page: 'vm-console', name: second };
  }
  return { page: 'not-found' };
}

const PLAIN = ['images', 'vms', 'activity', 'settings'] as const;
type Plain = (typeof PLAIN)[number];

function isPlain(text: string | undefined): text is Plain {
  return (PLAIN as readonly (string | undefined)[]).includes(text);
}

function formRoute(search: string): Route {
  const query = new URLSearchParams(search);
  const route: Route = { page: 'vm-create' };
  const image = query.get('image');
  const media = query.get('media');
  if (image) route.image = image;
  if (media) route.media = media;
  return route;
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

const at = encodeURIComponent;

export const href = {
  overview: '/',
  images: '/images',
  image: (name: string) => `/images/${at(name)}`,
  vms: '/vms',
  vm: (name: string) => `/vms/${at(name)}`,
  console: (name: string) => `/vms/${at(name)}/console`,
  createVm: (from: { image?: string; media?: string } = {}) => {
    const query = new URLSearchParams(from as Record<string, string>).toString();
    return query ? `/create-vm?${query}` : '/create-vm';
  },
  activity: '/activity',
  settings: '/settings',
} as const;
