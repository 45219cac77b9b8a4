// Whether this browser may talk to the daemon. The one-time token comes in the URL's fragment, which
// is never sent or logged, and leaves the address bar before anything else happens.
import { api, asProblem, onSignedOut } from '../api/client';
import type { Problem } from '../api/types';

export type SessionState = 'unknown' | 'in' | 'out';

class Session {
  state = $state<SessionState>('unknown');
  /** Why a token was not taken. */
  problem = $state.raw<Problem>();

  async begin(): Promise<void> {
    onSignedOut(() => (this.state = 'out'));
    const token = takeToken(location, history);
    if (token !== undefined && (await this.#trade(token))) return;
    try {
      await api.session();
      this.state = 'in';
    } catch (error) {
      this.state = 'out';
      const problem = asProblem(error);
      if (problem.status !== 401) this.problem = problem;
    }
  }

  async end(): Promise<void> {
    await api.signOut();
    this.state = 'out';
  }

  async #trade(token: string): Promise<boolean> {
    try {
      await api.signIn(token);
      this.state = 'in';
      return true;
    } catch (error) {
      this.problem = asProblem(error);
      return false;
    }
  }
}

/** The token in the address, which it takes out of the address and of the history. */
export function takeToken(
  where: Pick<Location, 'hash' | 'pathname' | 'search'>,
  past: Pick<History, 'replaceState'>,
): string | undefined {
  const token = new URLSearchParams(where.hash.slice(1)).get('token');
  if (token === null || token === '') return undefined;
  past.replaceState(null, '', where.pathname + where.search);
  return token;
}

export const session = new Session();
