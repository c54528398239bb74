/** A new element. Strings among the children become text, so that no name is ever read as HTML. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

export const byId = (id) => document.getElementById(id);

/** Resolves after so many seconds, or at once when the signal aborts. */
export function sleep(seconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal?.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
  });
}

export const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

export const decimals = (value, digits = 2) => (Number.isFinite(value) ? value.toFixed(digits) : "–");

/** Seconds in words: 37 ms, 1.20 s. */
export const duration = (seconds) => (seconds < 0.1 ? `${Math.round(seconds * 1000)} ms` : `${decimals(seconds)} s`);
