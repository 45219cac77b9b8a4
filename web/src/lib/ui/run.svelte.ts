// One thing asked of the server: whether it is under way, and why it was refused.
import { asProblem } from '../api/client';
import type { Problem } from '../api/types';

export class Run {
  busy = $state<string>();
  problem = $state.raw<Problem>();

  /** Does `work`, named `what`; resolves to whether it succeeded. */
  async do(what: string, work: () => Promise<unknown>): Promise<boolean> {
    if (this.busy !== undefined) return false;
    this.busy = what;
    this.problem = undefined;
    try {
      await work();
      return true;
    } catch (error) {
      this.problem = asProblem(error);
      return false;
    } finally {
      this.busy = undefined;
    }
  }

  dismiss = (): void => {
    this.problem = undefined;
  };
}
