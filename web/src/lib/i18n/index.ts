// The messages in the chosen language.
import { settings, type Language } from '../state/settings.svelte';
import { en, type Messages } from './en';
import { zh } from './zh';

export type { Messages };

export const catalogues: Record<Language, Messages> = { en, zh };

/** The catalogue now in force; reading it in a component follows the switch. */
export function t(): Messages {
  return catalogues[settings.language];
}
