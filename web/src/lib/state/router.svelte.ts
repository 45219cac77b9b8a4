// Where the page is. Plain links work; a click on one of our own does not load the page again.
import { parseRoute, type Route } from './route';

class Router {
  #place = $state({ path: location.pathname, search: location.search });
  readonly route: Route = $derived(parseRoute(this.#place.path, this.#place.search));

  get path(): string {
    return this.#place.path;
  }

  constructor() {
    addEventListener('popstate', () => this.#read());
    document.addEventListener('click', (event) => this.#clicked(event));
  }

  go(to: string): void {
    history.pushState(null, '', to);
    this.#read();
    scrollTo(0, 0);
  }

  #read(): void {
    this.#place = { path: location.pathname, search: location.search };
  }

  #clicked(event: MouseEvent): void {
    const modified = event.ctrlKey || event.metaKey || event.shiftKey || event.altKey;
    if (event.defaultPrevented || event.button !== 0 || modified) return;
    const link = (event.target as Element | null)?.closest('a');
    if (!link || link.target || link.hasAttribute('download')) return;
    if (link.origin !== location.origin || link.pathname.startsWith('/v1/')) return;
    event.preventDefault();
    if (link.href !== location.href) this.go(link.pathname + link.search);
  }
}

export const router = new Router();
