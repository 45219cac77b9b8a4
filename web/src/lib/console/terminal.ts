// The terminal: xterm.js in the page's colours. Loaded on its own, when a console is first opened.
import { FitAddon } from '@xterm/addon-fit';
import { Terminal } from '@xterm/xterm';
import '@xterm/xterm/css/xterm.css';

import { keepPolicy } from './document';

export interface Screen {
  write(data: Uint8Array | string): void;
  setTyping(allowed: boolean): void;
  focus(): void;
  dispose(): void;
}

keepPolicy(document);

const SCROLLBACK = 10_000;

/** A terminal that fills `element`; `typed` is called with what the keyboard means. */
export function openTerminal(
  element: HTMLElement,
  label: string,
  typed: (bytes: Uint8Array<ArrayBuffer>) => void,
): Screen {
  const style = getComputedStyle(element);
  const terminal = new Terminal({
    cursorBlink: false,
    fontFamily: style.getPropertyValue('--mono'),
    fontSize: 13,
    // What a guest writes may be no valid sequence; that is nothing for the browser's console.
    logLevel: 'off',
    scrollback: SCROLLBACK,
    screenReaderMode: false,
    theme: {
      background: style.getPropertyValue('--terminal').trim(),
      foreground: style.getPropertyValue('--terminal-text').trim(),
    },
  });
  const fit = new FitAddon();
  terminal.loadAddon(fit);
  terminal.open(element);
  terminal.textarea?.setAttribute('aria-label', label);
  const observer = new ResizeObserver(() => fit.fit());
  observer.observe(element);

  // Tab belongs to the guest; this is the way out for those who have only a keyboard.
  terminal.attachCustomKeyEventHandler((event) => {
    if (!(event.key === 'Escape' && event.ctrlKey && event.shiftKey)) return true;
    terminal.blur();
    document.querySelector<HTMLElement>('[data-leave]')?.focus();
    return false;
  });

  const encoder = new TextEncoder();
  terminal.onData((data) => typed(encoder.encode(data)));
  terminal.onBinary((data) => typed(Uint8Array.from(data, (c) => c.charCodeAt(0))));

  return {
    write: (data) => terminal.write(data),
    setTyping: (allowed) => (terminal.options.disableStdin = !allowed),
    focus: () => terminal.focus(),
    dispose: () => {
      observer.disconnect();
      terminal.dispose();
    },
  };
}
