// A sentence that appears beside a control on hover and on focus, and belongs to it for a reader.
import type { Attachment } from 'svelte/attachments';

let count = 0;

/** Attaches `text` to an element. Nothing happens where there is no text. */
export function tooltip(text: string | undefined): Attachment<HTMLElement> {
  return (element) => {
    if (!text) return;
    const tip = document.createElement('div');
    tip.className = 'tooltip';
    tip.id = `tip-${++count}`;
    tip.role = 'tooltip';
    tip.textContent = text;

    const show = () => {
      (element.closest('dialog') ?? document.body).append(tip);
      element.setAttribute('aria-describedby', tip.id);
      place(tip, element.getBoundingClientRect());
    };
    const hide = () => {
      element.removeAttribute('aria-describedby');
      tip.remove();
    };
    const escape = (event: KeyboardEvent) => event.key === 'Escape' && hide();
    element.addEventListener('pointerenter', show);
    element.addEventListener('pointerleave', hide);
    element.addEventListener('focusin', show);
    element.addEventListener('focusout', hide);
    element.addEventListener('keydown', escape);
    return () => {
      hide();
      element.removeEventListener('pointerenter', show);
      element.removeEventListener('pointerleave', hide);
      element.removeEventListener('focusin', show);
      element.removeEventListener('focusout', hide);
      element.removeEventListener('keydown', escape);
    };
  };
}

const GAP = 6;

function place(tip: HTMLElement, anchor: DOMRect): void {
  const { width, height } = tip.getBoundingClientRect();
  const left = anchor.left + anchor.width / 2 - width / 2;
  const below = anchor.bottom + GAP;
  const top = below + height < innerHeight ? below : anchor.top - GAP - height;
  tip.style.left = `${Math.max(GAP, Math.min(left, innerWidth - width - GAP))}px`;
  tip.style.top = `${Math.max(GAP, top)}px`;
}
