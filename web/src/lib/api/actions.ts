// What may be done with an object: read from `status.actions`, decided by the server alone.
import type { ActionState, ImageActionName, VmActionName } from './types';

type Actions = { status: { actions: ActionState[] } };

/** The state of one action; absent where the server does not offer it at all. */
export function actionOf(
  object: Actions,
  name: ImageActionName | VmActionName,
): ActionState | undefined {
  return object.status.actions.find((action) => action.name === name);
}

/** Whether the server allows it now. */
export function allows(object: Actions, name: ImageActionName | VmActionName): boolean {
  return actionOf(object, name)?.allowed === true;
}
