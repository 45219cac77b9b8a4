// xterm.js writes <style> elements and style attributes, which the content security policy forbids.
// It is given this document instead: the same one, whose style elements go to constructed style sheets.
// Style attributes go through the CSS object model. Both are allowed, for they are no markup.

/** `document` as xterm.js may use it under `style-src 'self'`. */
export function strictDocument(real: Document): Document {
  return new Proxy(real, {
    get(target, key) {
      if (key === 'createElement') return (tag: string) => create(target, tag);
      const value: unknown = Reflect.get(target, key);
      // The document's own methods insist on the document itself.
      return typeof value === 'function' ? (value as () => unknown).bind(target) : value;
    },
  });
}

/** Lets `setAttribute('style', …)` do what `style.cssText = …` does: the same, and allowed. */
export function styleByObjectModel(prototype: HTMLElement): void {
  const original = Element.prototype.setAttribute;
  prototype.setAttribute = function (this: HTMLElement, name: string, value: string) {
    if (name === 'style') this.style.cssText = value;
    else original.call(this, name, value);
  };
}

function create(real: Document, tag: string): HTMLElement {
  return tag.toLowerCase() === 'style' ? styleStandIn(real) : real.createElement(tag);
}

// Even an empty <style> element is refused, so another one, which is never shown, stands in its place.
function styleStandIn(real: Document): HTMLElement {
  const element = real.createElement('template');
  const sheet = new CSSStyleSheet();
  let text = '';
  real.adoptedStyleSheets.push(sheet);
  Object.defineProperty(element, 'textContent', {
    get: () => text,
    set: (css: string) => {
      text = css;
      sheet.replaceSync(css);
    },
  });
  element.remove = () => {
    real.adoptedStyleSheets = real.adoptedStyleSheets.filter((other) => other !== sheet);
    Element.prototype.remove.call(element);
  };
  return element;
}
