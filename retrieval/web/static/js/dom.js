/** Elements of the page, made and found. */

export const element = (id) => document.getElementById(id);

/**
 * Make an element.
 *
 * @param {string} name
 * @param {object} properties Set as they are; `dataset` is merged.
 * @param {...(Node | string)} children
 */
export function make(name, properties = {}, ...children) {
  const made = document.createElement(name);
  const { dataset = {}, ...rest } = properties;
  Object.assign(made, rest);
  Object.assign(made.dataset, dataset);
  made.append(...children);
  return made;
}

/** Say something to people who cannot see the page change. */
export function announce(text) {
  element("live").textContent = text;
}

/** Say, above the photos, what they are. */
export function headline(text) {
  element("status").textContent = text;
  announce(text);
}

/** The cross that takes something away. */
export function cross() {
  const icon = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  icon.setAttribute("class", "icon");
  icon.setAttribute("viewBox", "0 0 24 24");
  icon.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", "m7 7 10 10M17 7 7 17");
  icon.append(path);
  return icon;
}
