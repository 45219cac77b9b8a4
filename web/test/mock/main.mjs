// A server that behaves like the daemon, for looking at the page without one: `npm run mock`.
// It serves dist/ with the daemon's content security policy. MOCK_EMPTY=1: nothing in it yet;
// MOCK_MANY=10000: that many more images; MOCK_PORT. Never ships.
import { randomBytes } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join } from 'node:path';
import { WebSocketServer } from 'ws';

import { attach } from './console.mjs';
import { usage } from './live.mjs';
import { fill, host, image, putImage, putVm, remove, state, vm } from './world.mjs';

const PORT = Number(process.env.MOCK_PORT ?? 7180);
const DIST = new URL('../../dist/', import.meta.url).pathname;
const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
};

const token = 'mock';
const sessions = new Set();
if (!process.env.MOCK_EMPTY) fill(Number(process.env.MOCK_MANY ?? 0));

const find = (map, ref) =>
  [...map.values()].find(({ metadata: { id, name } }) => id === ref || name === ref);
const json = (response, status, body, headers = {}) =>
  response
    .writeHead(status, { 'content-type': 'application/json', ...headers })
    .end(JSON.stringify(body));
const problem = (response, status, code, detail) =>
  response
    .writeHead(status, { 'content-type': 'application/problem+json' })
    .end(JSON.stringify({ kind: 'refused', status, title: 'Not possible', code, detail }));

async function body(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return JSON.parse(Buffer.concat(parts).toString() || '{}');
}

function signedIn(request) {
  const cookie = /kinglet_session=(\w+)/.exec(request.headers.cookie ?? '')?.[1];
  return cookie !== undefined && sessions.has(cookie);
}

function events(request, response, since) {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  const last = Number(request.headers['last-event-id'] ?? since ?? 0);
  const send = (event) =>
    response.write(
      `id: ${event.revision}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`,
    );
  state.log.filter(({ revision }) => revision > last).forEach(send);
  state.listeners.add(send);
  const timer = setInterval(() => {
    for (const live of usage()) response.write(`event: live\ndata: ${JSON.stringify(live)}\n\n`);
  }, 500);
  response.write(': here\n\n');
  request.on('close', () => {
    state.listeners.delete(send);
    clearInterval(timer);
  });
}

function move(machine, phase, extra = {}) {
  const fresh = vm(machine.metadata.name, phase);
  machine.status = {
    ...machine.status,
    process: undefined,
    ...fresh.status,
    disks: machine.status.disks,
    ...extra,
  };
  putVm(machine);
}

const STEPS = {
  start: ['starting', 'running'],
  stop: ['stopping', 'stopped'],
  restart: ['stopping', 'starting', 'running'],
  pause: ['paused'],
  resume: ['running'],
  kill: ['stopped'],
};

function actOn(response, machine, action) {
  const verdict = machine.status.actions.find(({ name }) => name === action);
  if (!verdict?.allowed)
    return problem(
      response,
      409,
      'vm-state',
      `Cannot ${action} VM ${machine.metadata.name}: ${verdict?.reason}.`,
    );
  STEPS[action].forEach((phase, index) => setTimeout(() => move(machine, phase), index * 900));
  return json(response, 202, machine);
}

function create(response, { name = `vm-${state.vms.size + 1}`, spec }) {
  if (!/^[a-z0-9-]+$/.test(name))
    return problem(
      response,
      400,
      'invalid-name',
      'the name has characters other than a-z, 0-9 and "-"',
    );
  if (find(state.vms, name))
    return problem(
      response,
      409,
      'name-taken',
      `There is a VM ${name} already; choose another name.`,
    );
  if (spec.memory === '1K')
    return problem(response, 400, 'invalid-spec', 'memory: a VM has at least 16 MiB of memory');
  const made = vm(name, 'stopped', { ...spec, memory: 2 ** 29 });
  putVm(made);
  if (spec.power === 'on')
    STEPS.start.forEach((phase, index) => setTimeout(() => move(made, phase), 300 + index * 900));
  return json(response, 201, made);
}

async function v1(request, response, url) {
  const [, , first, ref, verb] = url.pathname.split('/').map(decodeURIComponent);
  const { method } = request;
  if (first === 'session' && method === 'POST') {
    if ((await body(request)).token !== token)
      return problem(
        response,
        401,
        'token-unknown',
        'This sign-in token was used already or has expired. Run `kinglet web` for a new one.',
      );
    const cookie = randomBytes(8).toString('hex');
    sessions.add(cookie);
    return response
      .writeHead(204, {
        'set-cookie': `kinglet_session=${cookie}; HttpOnly; SameSite=Strict; Path=/`,
      })
      .end();
  }
  if (!signedIn(request)) return problem(response, 401, 'signed-out', 'Sign in first.');
  if (first === 'session') {
    if (method === 'DELETE') sessions.clear();
    return method === 'DELETE' ? response.writeHead(204).end() : json(response, 200, {});
  }
  if (first === 'events') return events(request, response, url.searchParams.get('since'));
  if (first === 'host') return json(response, 200, host);
  const map = { images: state.images, vms: state.vms }[first];
  if (!map) return problem(response, 404, 'not-found', 'No such thing.');
  if (!ref && method === 'GET')
    return json(response, 200, [...map.values()], { 'x-revision': state.revision });
  if (!ref) return create(response, await body(request));
  if (first === 'images' && ref === 'refresh') return json(response, 200, {});
  const object = find(map, ref);
  if (!object) return problem(response, 404, 'not-found', `There is no ${ref}.`);
  if (method === 'DELETE' && !verb) {
    remove(object.kind, map, object.metadata.id);
    return response.writeHead(204).end();
  }
  if (verb === 'check') return json(response, 202, object);
  if (verb === 'media') {
    object.spec.media = method === 'PUT' ? (await body(request)).image : undefined;
    putVm(object);
    return json(response, 200, object);
  }
  return verb ? actOn(response, object, verb) : json(response, 200, object);
}

function page(response, path) {
  const wanted = join(DIST, path);
  const known = extname(path) !== '' && statSync(wanted, { throwIfNoEntry: false })?.isFile();
  const file = known ? wanted : join(DIST, 'index.html');
  response.writeHead(200, {
    'content-type': TYPES[extname(file)] ?? 'application/octet-stream',
    'content-security-policy': CSP,
    'x-content-type-options': 'nosniff',
  });
  response.end(readFileSync(file));
}

const server = createServer((request, response) => {
  const url = new URL(request.url, 'http://mock');
  if (url.pathname === '/mock/arrive') {
    putImage(image(`new-${state.revision}`, 'new.img', { phase: 'arriving' }, 0));
    return response.end();
  }
  if (url.pathname.startsWith('/v1/')) return void v1(request, response, url);
  return page(response, url.pathname);
});

const sockets = new WebSocketServer({ noServer: true });
server.on('upgrade', (request, socket, head) => {
  sockets.handleUpgrade(request, socket, head, (client) => attach(client));
});
server.listen(PORT, '127.0.0.1', () => console.log(`http://127.0.0.1:${PORT}/#token=${token}`));
