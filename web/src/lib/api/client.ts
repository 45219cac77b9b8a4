// Requests to the API. A refusal of the server is thrown as `ApiProblem`, with the server's sentence.
import type { CreateVm, Host, Image, Problem, Vm } from './types';

export class ApiProblem extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail);
    this.name = 'ApiProblem';
  }
}

export interface Listing<T> {
  items: T[];
  revision: number;
}

/** Called whenever the API says that there is no session. */
let signedOut: () => void = () => {};
export function onSignedOut(call: () => void): void {
  signedOut = call;
}

async function problemOf(response: Response): Promise<Problem> {
  const type = response.headers.get('content-type') ?? '';
  if (type.startsWith('application/problem+json')) return (await response.json()) as Problem;
  return {
    kind: 'internal',
    status: response.status,
    title: response.statusText,
    code: 'unexpected-answer',
    detail: `${response.status} ${response.statusText}`.trim(),
  };
}

/** What went wrong, as a problem, whatever was thrown. */
export function asProblem(error: unknown): Problem {
  if (error instanceof ApiProblem) return error.problem;
  return {
    kind: 'internal',
    status: 0,
    title: '',
    code: 'unreachable',
    detail: error instanceof Error ? error.message : String(error),
  };
}

interface Options {
  body?: unknown;
  ifMatch?: number;
}

async function send(method: string, path: string, options: Options = {}): Promise<Response> {
  const headers: Record<string, string> = {};
  if (options.body !== undefined) headers['content-type'] = 'application/json';
  if (options.ifMatch !== undefined) headers['if-match'] = String(options.ifMatch);
  const response = await fetch(`/v1${path}`, {
    method,
    headers,
    body: options.body === undefined ? null : JSON.stringify(options.body),
    credentials: 'same-origin',
    cache: 'no-store',
  });
  if (response.ok) return response;
  if (response.status === 401) signedOut();
  throw new ApiProblem(await problemOf(response));
}

async function json<T>(method: string, path: string, options?: Options): Promise<T> {
  return (await (await send(method, path, options)).json()) as T;
}

const PAGE = 1000;

async function listing<T>(path: string): Promise<Listing<T>> {
  const items: T[] = [];
  let revision = Infinity;
  let cursor: string | null = null;
  do {
    const next: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
    const response = await send('GET', `${path}?limit=${PAGE}${next}`);
    // Pages may be of different moments: what happened since the first is told again by the stream.
    revision = Math.min(revision, Number(response.headers.get('x-revision') ?? 0));
    items.push(...((await response.json()) as T[]));
    cursor = response.headers.get('x-next-cursor');
  } while (cursor);
  return { items, revision };
}

const at = encodeURIComponent;

export const api = {
  images: () => listing<Image>('/images'),
  vms: () => listing<Vm>('/vms'),
  host: () => json<Host>('GET', '/host'),
  examine: () => json<Host>('POST', '/host/doctor'),

  refreshImages: () => send('POST', '/images/refresh'),
  checkImage: (id: string) => json<Image>('POST', `/images/${at(id)}/check`),
  deleteImage: (id: string, ifMatch: number) => send('DELETE', `/images/${at(id)}`, { ifMatch }),

  createVm: (body: CreateVm) => json<Vm>('POST', '/vms', { body }),
  actOnVm: (id: string, action: string) => json<Vm>('POST', `/vms/${at(id)}/${at(action)}`),
  insertMedia: (id: string, image: string) =>
    json<Vm>('PUT', `/vms/${at(id)}/media`, { body: { image } }),
  ejectMedia: (id: string) => json<Vm>('DELETE', `/vms/${at(id)}/media`),
  consoleLog: async (id: string) => (await send('GET', `/vms/${at(id)}/console/log`)).text(),
  deleteVm: (id: string, ifMatch: number) => send('DELETE', `/vms/${at(id)}`, { ifMatch }),

  signIn: (token: string) => send('POST', '/session', { body: { token } }),
  signOut: () => send('DELETE', '/session'),
  session: () => send('GET', '/session'),
};
