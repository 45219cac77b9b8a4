// xterm.js writes <style> elements and style attributes, which `style-src 'self'` forbids. Constructed
// style sheets and the CSS object model do the same and are allowed, for they are no markup: what it
// asks of the document is turned into these. Nothing else on the page makes styles at run time.

let done = false;

/** Makes the document fit for xterm.js; once, before the first terminal. */
export function keepPolicy(real: Document): void {
  if (done) return;
  done = true;
  const create = real.createElement.bind(real) as (tag: string, options?: object) => HTMLElement;
  const createElement = (tag: string, options?: object) =>
    tag.toLowerCase() === 'style' ? styleStandIn(real, create('template')) : create(tag, options);
  real.createElement = createElement as Document['createElement'];
  styleByObjectModel(HTMLElement.prototype);
}

/** Lets `setAttribute('style', …)` do what `style.cssText = …` does: the same, and allowed. */
function styleByObjectModel(prototype: HTMLElement): void {
  const original = Element.prototype.setAttribute;
  prototype.setAttribute = function (this: HTMLElement, name: string, value: string) {
    if (name === 'style') this.style.cssText = value;
    else original.call(this, name, value);
  };
}

// Even an empty <style> element is refused, so one that is never shown stands in its place.
function styleStandIn(real: Document, element: HTMLElement): HTMLElement {
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
