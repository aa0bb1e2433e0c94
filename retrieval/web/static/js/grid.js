/** The photos that were found: a list to look at, to move through, and to choose from. */

import { element, make } from "./dom.js";
import { asSentence, dayOf, duration, monthOf } from "./format.js";

const NARROWEST = 0.56;
const WIDEST = 2.6;
const UNKNOWN = 1.33;
const STEPS = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };

export class Grid {
  #places = new Map();

  /**
   * @param {HTMLUListElement} list
   * @param {{onOpen: (place: number) => void, selection: Selection}} page
   */
  constructor(list, { onOpen, selection }) {
    this.list = list;
    this.onOpen = onOpen;
    this.selection = selection;
    this.photos = [];
    this.library = null;
    list.addEventListener("click", (event) => this.#clicked(event));
    list.addEventListener("keydown", (event) => this.#pressed(event));
    // What was opened or clicked last is where the Tab key returns to.
    list.addEventListener("focusin", ({ target }) => target.role === "option" && this.#rove(target));
    list.addEventListener("error", ({ target }) => target.localName === "img" && showLost(target), true);
    list.addEventListener("load", ({ target }) => target.localName === "img" && measure(target), true);
  }

  /** Begin with other photos. */
  show(library, photos, { byDate }) {
    this.library = library;
    this.byDate = byDate;
    this.photos = [];
    this.#places.clear();
    this.list.replaceChildren();
    this.append(photos);
  }

  /** Go on with the next page; photos that are there already are left out. */
  append(photos) {
    const fresh = photos.filter(({ id }) => !this.#places.has(id));
    const items = [];
    for (const photo of fresh) {
      const before = this.photos.at(-1);
      if (this.byDate && (before === undefined || monthOf(before.date) !== monthOf(photo.date))) {
        if (before !== undefined) items.push(make("li", { className: "rest", role: "presentation" }));
        items.push(make("li", { className: "month", role: "presentation", textContent: monthOf(photo.date) }));
      }
      this.#places.set(photo.id, this.photos.length);
      this.photos.push(photo);
      items.push(this.#item(photo));
    }
    this.list.append(...items);
    const options = this.options();
    if (options.length > 0 && !options.some(({ tabIndex }) => tabIndex === 0)) options[0].tabIndex = 0;
  }

  options() {
    return Array.from(this.list.querySelectorAll("[role=option]"));
  }

  focus(place) {
    this.options()[place]?.focus();
  }

  /** After photos were selected or not, from anywhere. */
  refresh() {
    for (const option of this.options()) option.ariaSelected = String(this.selection.has(Number(option.dataset.id)));
    this.list.classList.toggle("selecting", this.selection.isOn);
  }

  #item(photo) {
    const aspect = photo.width && photo.height ? photo.width / photo.height : UNKNOWN;
    const picture = make("img", {
      alt: "",
      loading: "lazy",
      decoding: "async",
      srcset: `${this.library.thumbnail(photo, "small")} 1x, ${this.library.thumbnail(photo, "medium")} 2x`,
      src: this.library.thumbnail(photo, "small"),
    });
    const item = make("li", { role: "option", tabIndex: -1, title: photo.name, dataset: { id: photo.id } }, picture);
    item.ariaLabel = `${photo.name}, ${dayOf(photo.date)}`;
    item.ariaSelected = String(this.selection.has(photo.id));
    item.style.setProperty("--aspect", clamped(aspect));
    if (photo.width) item.dataset.measured = "";
    item.append(make("span", { className: "tick", ariaHidden: "true" }));
    if (photo.is_video) {
      const times = [photo.moment_ms, photo.duration_ms].filter((time) => time !== null).map(duration);
      item.append(make("span", { className: "time", textContent: times.join(" / ") }));
      const said = photo.moment_ms === null ? times : [`found at ${times.join(" of ")}`];
      item.ariaLabel = [item.ariaLabel, "video", ...said].join(", ");
    }
    return item;
  }

  #place(option) {
    return this.#places.get(Number(option.dataset.id));
  }

  #clicked(event) {
    const option = event.target.closest("[role=option]");
    if (option === null) return;
    const place = this.#place(option);
    option.focus();
    if (event.shiftKey && this.selection.isOn) this.selection.extend(this.photos, place);
    else if (event.ctrlKey || event.metaKey || this.selection.isOn || event.target.closest(".tick"))
      this.selection.toggle(this.photos, place);
    else this.onOpen(place);
  }

  #pressed(event) {
    const option = event.target.closest("[role=option]");
    if (option === null || event.altKey) return;
    const place = this.#place(option);
    const target = this.#target(event, option);
    if (target !== null) {
      target.focus();
      if (event.shiftKey) {
        this.selection.begin(this.photos, place);
        this.selection.extend(this.photos, this.#place(target));
      }
    } else if (event.key === "Enter") this.onOpen(place);
    else if (event.key === " ") this.selection.toggle(this.photos, place);
    else if (event.key === "a" && (event.ctrlKey || event.metaKey)) this.selection.all(this.photos);
    else if (event.key === "Escape") {
      if (this.selection.isOn) this.selection.clear();
      else element("query").focus();
    } else return;
    event.preventDefault();
  }

  #target({ key, ctrlKey, metaKey }, option) {
    if (ctrlKey || metaKey) return null;
    const options = this.options();
    const place = options.indexOf(option);
    if (key in STEPS) return options[Math.max(0, Math.min(options.length - 1, place + STEPS[key]))];
    if (key === "ArrowDown" || key === "ArrowUp") return nearestInNextRow(options, place, key === "ArrowDown" ? 1 : -1);
    return null;
  }

  #rove(option) {
    for (const other of this.list.querySelectorAll("[role=option][tabindex='0']")) other.tabIndex = -1;
    option.tabIndex = 0;
  }
}

// A panorama must not squeeze out its row, nor a strip fill the page.
function clamped(aspect) {
  return Math.max(NARROWEST, Math.min(WIDEST, aspect)).toFixed(3);
}

function measure(picture) {
  const item = picture.closest("[role=option]");
  if (item === null || "measured" in item.dataset || picture.naturalHeight === 0) return;
  item.style.setProperty("--aspect", clamped(picture.naturalWidth / picture.naturalHeight));
  item.dataset.measured = "";
}

function showLost(picture) {
  picture.replaceWith(make("span", { className: "lost", textContent: asSentence("can no longer be shown") }));
}

function nearestInNextRow(options, place, step) {
  const from = options[place].getBoundingClientRect();
  const centre = from.left + from.width / 2;
  let best = options[place];
  let row = null;
  let least = Infinity;
  for (let next = place + step; next >= 0 && next < options.length; next += step) {
    const { top, left, width } = options[next].getBoundingClientRect();
    if (Math.abs(top - from.top) < 2) continue;
    row ??= top;
    if (Math.abs(top - row) >= 2) break;
    const distance = Math.abs(left + width / 2 - centre);
    if (distance < least) [best, least] = [options[next], distance];
  }
  return best;
}
