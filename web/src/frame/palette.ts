// What the palette offers: pages, images, VMs, and the actions that the server allows now.
import { api } from '../lib/api/client';
import { allows } from '../lib/api/actions';
import type { VmActionName } from '../lib/api/types';
import type { Messages } from '../lib/i18n';
import { href } from '../lib/state/route';
import type { World } from '../lib/state/world.svelte';

export interface Entry {
  id: string;
  kind: string;
  label: string;
  /** Where it leads, or what it does. */
  run: { to: string } | { act: () => Promise<unknown> };
}

/** Entries shown at once. */
const SHOWN = 40;

// What loses nothing when hit by mistake. The rest asks on its own page.
const VM_ACTIONS: readonly VmActionName[] = ['start', 'stop', 'restart', 'pause', 'resume'];

export function entries(world: World, t: Messages): Entry[] {
  return [...pages(t), ...vms(world, t), ...images(world, t)];
}

/** The entries that have every word of the query; those that begin with it first. */
export function matching(all: Entry[], query: string): Entry[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const found = all.filter(({ label, kind }) => {
    const text = `${kind} ${label}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
  const first = words[0] ?? '';
  const begins = (entry: Entry) => (entry.label.toLowerCase().startsWith(first) ? 0 : 1);
  return found.sort((a, b) => begins(a) - begins(b)).slice(0, SHOWN);
}

function pages(t: Messages): Entry[] {
  const list: [string, string][] = [
    [href.overview, t.pages.overview],
    [href.images, t.pages.images],
    [href.vms, t.pages.vms],
    [href.createVm(), t.pages.createVm],
    [href.activity, t.pages.activity],
    [href.settings, t.pages.settings],
  ];
  return list.map(([to, label]) => ({ id: to, kind: t.palette.page, label, run: { to } }));
}

function vms(world: World, t: Messages): Entry[] {
  return world.vms.all.flatMap((vm): Entry[] => {
    const { id, name } = vm.metadata;
    const offered = VM_ACTIONS.filter((action) => allows(vm, action));
    const found: Entry[] = [
      { id, kind: t.palette.vm, label: name, run: { to: href.vm(name) } },
      ...offered.map((action) => ({
        id: `${id} ${action}`,
        kind: t.palette.run,
        label: `${t.action[action]} ${name}`,
        run: { act: async () => world.take(await api.actOnVm(id, action)) },
      })),
    ];
    if (allows(vm, 'console')) {
      const label = `${t.action.console} ${name}`;
      found.push({
        id: `${id} console`,
        kind: t.palette.run,
        label,
        run: { to: href.console(name) },
      });
    }
    return found;
  });
}

function images(world: World, t: Messages): Entry[] {
  return world.images.all.flatMap((image): Entry[] => {
    const { id, name } = image.metadata;
    const found: Entry[] = [
      { id, kind: t.palette.image, label: name, run: { to: href.image(name) } },
    ];
    if (allows(image, 'create-vm')) {
      const label = `${t.action['create-vm']}: ${name}`;
      const run = { to: href.createVm({ image: name }) };
      found.push({ id: `${id} create-vm`, kind: t.palette.run, label, run });
    }
    return found;
  });
}
