// The daemon's API as a test sees it beside the page, with the page's own session.
import type { Page } from 'playwright-core';

import { origin } from './browser';

export interface Thing {
  metadata: { id: string; name: string; revision: number };
  spec: { path?: string };
  status: { phase: string; reason?: string; actions: { name: string; allowed: boolean }[] };
}

/** All objects of a kind. */
export async function list(page: Page, kind: 'images' | 'vms'): Promise<Thing[]> {
  const answer = await page.request.get(`${origin()}/v1/${kind}?limit=1000`);
  return (await answer.json()) as Thing[];
}

/** Sends a request as the page would, past what the page offers. */
export async function ask(
  page: Page,
  method: string,
  path: string,
  data?: unknown,
): Promise<{ status: number; body: { code?: string; detail?: string } }> {
  const answer = await page.request.fetch(`${origin()}/v1${path}`, {
    method,
    headers: { origin: origin() },
    ...(data !== undefined && { data }),
  });
  const text = await answer.text();
  return { status: answer.status(), body: text === '' ? {} : (JSON.parse(text) as object) };
}

/** Removes a VM whatever its state, so that one test leaves nothing for the next. */
export async function removeVm(page: Page, name: string): Promise<void> {
  await ask(page, 'POST', `/vms/${name}/kill`);
  const deadline = Date.now() + 60_000;
  while (Date.now() < deadline) {
    const { status } = await ask(page, 'DELETE', `/vms/${name}`);
    if (status < 400 || status === 404) return;
    await page.waitForTimeout(200);
  }
  throw new Error(`VM ${name} could not be removed.`);
}
