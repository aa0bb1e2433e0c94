/** Filters: chosen in a panel, shown as chips that take them away again. */

import { cross, element, make } from "./dom.js";
import { amount, coordinates, dayOf } from "./format.js";
import { FILTERS, filterCount } from "./state.js";

const SELECTS = ["folder", "type", "camera"];
const ANY = { folder: "All folders", type: "All types", camera: "All cameras" };
const DATES = ["after", "until"];

export class Filters {
  /** @param {State} state */
  constructor(state) {
    this.state = state;
    this.folders = new Map();
    element("filters-button").addEventListener("click", () => this.toggle());
    for (const name of [...SELECTS, ...DATES]) {
      element(`filter-${name}`).addEventListener("change", ({ target }) => state.set({ [name]: target.value }));
    }
    element("filters").addEventListener("keydown", ({ key }) => {
      if (key !== "Escape") return;
      this.toggle(false);
      element("filters-button").focus();
    });
  }

  toggle(open = element("filters").hidden) {
    element("filters").hidden = !open;
    element("filters-button").ariaExpanded = String(open);
  }

  /** Offer what the library has. */
  offer({ folders, types, cameras, first, last }) {
    this.folders = new Map(folders.map(({ id, label }) => [id, label]));
    const indent = "\u2003";
    fill("folder", folders.map(({ id, label, depth, photos }) => [id, indent.repeat(depth) + label, photos]));
    fill("type", types.map(({ value, photos }) => [value, value.toUpperCase(), photos]));
    fill("camera", cameras.map(({ value, photos }) => [value, value, photos]));
    for (const name of DATES) {
      element(`filter-${name}`).min = first ?? "";
      element(`filter-${name}`).max = last ?? "";
    }
  }

  /** Show which filters are on, wherever they came from. */
  show(asked) {
    for (const name of [...SELECTS, ...DATES]) element(`filter-${name}`).value = asked[name];
    const count = filterCount(asked);
    const button = element("filters-button");
    if (count > 0) button.dataset.count = count;
    else delete button.dataset.count;
    button.querySelector("span").textContent = count > 0 ? `Filters, ${count} active` : "Filters";
    element("chips").replaceChildren(
      ...FILTERS.filter((name) => asked[name]).map((name) => make("li", {}, this.#chip(name, asked[name]))),
    );
  }

  #chip(name, value) {
    const chip = make("button", { type: "button" }, this.#text(name, value), cross());
    chip.ariaLabel = `Remove filter ${chip.textContent}`;
    chip.addEventListener("click", () => {
      this.state.set({ [name]: "" });
      // The chip that held the focus is gone.
      (element("chips").querySelector("button") ?? element("query")).focus();
    });
    return chip;
  }

  #text(name, value) {
    if (name === "folder") return `In ${this.folders.get(value) ?? "a folder"}`;
    if (name === "type") return value.toUpperCase();
    if (name === "after") return `From ${dayOf(value)}`;
    if (name === "until") return `To ${dayOf(value)}`;
    if (name === "near") return `Near ${coordinates(...value.split(",").map(Number))}`;
    return value;
  }
}

function fill(name, choices) {
  const select = element(`filter-${name}`);
  const chosen = select.value;
  select.replaceChildren(
    make("option", { value: "", textContent: ANY[name] }),
    ...choices.map(([value, text, photos]) => make("option", { value, textContent: `${text} (${amount(photos)})` })),
  );
  select.value = chosen;
}
