// Signs in once for all files of a run: the token is good for one browser only.
import type { TestProject } from 'vitest/node';

import { launch, signIn, type Cookies } from './browser';

declare module 'vitest' {
  export interface ProvidedContext {
    cookies: Cookies;
  }
}

export async function setup(project: TestProject): Promise<void> {
  const browser = await launch();
  try {
    project.provide('cookies', await signIn(browser));
  } finally {
    await browser.close();
  }
}
