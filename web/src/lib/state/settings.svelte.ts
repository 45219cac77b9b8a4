// What a person chose for this browser: language and theme. Kept in local storage.

export type Theme = 'system' | 'light' | 'dark';
export type Language = 'en' | 'zh';

const LANGUAGES: readonly Language[] = ['en', 'zh'];

/** The first language of the browser that the page speaks. */
export function preferredLanguage(wanted: readonly string[]): Language {
  for (const tag of wanted) {
    const language = LANGUAGES.find((known) => tag.toLowerCase().split('-')[0] === known);
    if (language) return language;
  }
  return 'en';
}

class Settings {
  theme = $state<Theme>(stored('theme', ['system', 'light', 'dark']) ?? 'system');
  #language = $state<Language | undefined>(stored('language', LANGUAGES));

  get language(): Language {
    return this.#language ?? preferredLanguage(navigator.languages);
  }

  /** `undefined`: as the browser says. */
  get chosenLanguage(): Language | undefined {
    return this.#language;
  }

  set chosenLanguage(language: Language | undefined) {
    this.#language = language;
    store('language', language);
  }

  chooseTheme(theme: Theme): void {
    this.theme = theme;
    store('theme', theme);
  }
}

// Storage may be forbidden; then a choice lasts as long as the tab.
function stored<T extends string>(key: string, known: readonly T[]): T | undefined {
  try {
    const value = localStorage.getItem(`kinglet.${key}`);
    return known.find((each) => each === value);
  } catch {
    return undefined;
  }
}

function store(key: string, value: string | undefined): void {
  try {
    if (value === undefined) localStorage.removeItem(`kinglet.${key}`);
    else localStorage.setItem(`kinglet.${key}`, value);
  } catch {
    // See above.
  }
}

export const settings = new Settings();
