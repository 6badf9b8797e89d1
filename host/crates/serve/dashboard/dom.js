// Elements from values. Names of operators, configuration and log lines are of strangers: a value becomes a text node or
// an attribute that holds text, and nothing here parses HTML.

// These do more than hold text. A link may lead to a place in this page.
const GUARDED = new Set(["href", "src", "style", "srcdoc"]);

/** An element with attributes, listeners (`on`) and children. A child that is null or false is left out. */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (GUARDED.has(name) && !(name === "href" && String(value).startsWith("#"))) {
      throw new Error(`${name} is not set from a value`);
    } else {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Replaces the children of an element. */
export function put(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Sets the text of an element if it differs, so that a selection or a focus stays. */
export function say(element, text) {
  const wanted = text === null || text === undefined ? "" : String(text);
  if (element.textContent !== wanted) element.textContent = wanted;
}

/** Keeps one child for each item, in order: made once, updated afterwards. */
export function keep(parent, items, key, make, update) {
  const known = parent.kept ?? (parent.kept = new Map());
  const seen = new Set();
  let before = null;
  for (const item of items) {
    const id = key(item);
    if (seen.has(id)) continue;
    seen.add(id);
    let child = known.get(id);
    if (!child) known.set(id, (child = make(item)));
    update(child, item);
    const place = before ? before.nextSibling : parent.firstChild;
    if (child !== place) parent.insertBefore(child, place);
    before = child;
  }
  for (const [id, child] of known) {
    if (!seen.has(id)) {
      child.remove();
      known.delete(id);
    }
  }
}

/** Tells a screen reader something. */
export function announce(text) {
  say(document.getElementById("status"), text);
}
