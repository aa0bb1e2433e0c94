/** What is asked for, and the address that says so: a page can be reloaded, shared, gone back to. */

const FIELDS = ["q", "like", "folder", "type", "camera", "after", "until", "near"];
export const FILTERS = ["folder", "type", "camera", "after", "until", "near"];

/**
 * @typedef {{q: string, like: string, folder: string, type: string, camera: string, after: string,
 *   until: string, near: string, library: string, example: Example | null}} Asked
 * @typedef {{key: string, picture: string, name: string}} Example An uploaded photo, which only
 *   this page knows.
 */

export class State {
  /** @param {(asked: Asked) => void} onChange Also called when the user goes back. */
  constructor(onChange) {
    this.onChange = onChange;
    this.asked = read();
    addEventListener("popstate", () => {
      this.asked = read();
      onChange(this.asked);
    });
  }

  /**
   * Ask for something else.
   *
   * @param {Partial<Asked>} changes
   * @param {{step?: boolean}} options Whether "back" returns to what was asked before.
   */
  set(changes, { step = true } = {}) {
    const asked = { ...this.asked, ...changes };
    if (JSON.stringify(asked) === JSON.stringify(this.asked)) return;
    this.asked = asked;
    const parameters = new URLSearchParams(FIELDS.filter((name) => asked[name]).map((name) => [name, asked[name]]));
    if (asked.library) parameters.set("library", asked.library);
    const address = parameters.size > 0 ? `?${parameters}` : location.pathname;
    history[step ? "pushState" : "replaceState"]({ example: asked.example }, "", address);
    this.onChange(asked);
  }

  /** Words, a photo of the library, or an uploaded one: only one at a time. */
  ask({ q = "", like = "", example = null }, options) {
    this.set({ q, like, example }, options);
  }

  clearFilters() {
    this.set(Object.fromEntries(FILTERS.map((name) => [name, ""])));
  }
}

/** How many filters are on. */
export function filterCount(asked) {
  return FILTERS.filter((name) => asked[name]).length;
}

function read() {
  const parameters = new URLSearchParams(location.search);
  const asked = Object.fromEntries(FIELDS.map((name) => [name, parameters.get(name) ?? ""]));
  return { ...asked, library: parameters.get("library") ?? "", example: history.state?.example ?? null };
}
