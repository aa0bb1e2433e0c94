/** One photo, large. */

import { photoName } from "./grid.js";

export class Viewer {
  #address = null;

  /**
   * @param {HTMLDialogElement} dialog
   * @param {{engine: Engine, thumbnails: Thumbnails, grid: Grid, onLike: (key: Key) => void}} page
   */
  constructor(dialog, { engine, thumbnails, grid, onLike }) {
    this.dialog = dialog;
    this.engine = engine;
    this.thumbnails = thumbnails;
    this.grid = grid;
    this.place = 0;
    const actions = {
      previous: () => this.#step(-1),
      next: () => this.#step(1),
      close: () => dialog.close(),
      like: () => {
        const { key } = grid.hits[this.place];
        dialog.close();
        onLike(key);
      },
    };
    dialog.addEventListener("click", (event) => {
      // A click on the dialog itself is one beside its content.
      if (event.target === dialog) dialog.close();
      actions[event.target.closest("button")?.dataset.act]?.();
    });
    dialog.addEventListener("keydown", (event) => {
      if (event.key === "ArrowLeft") this.#step(-1);
      if (event.key === "ArrowRight") this.#step(1);
    });
    dialog.addEventListener("close", () => {
      this.#forget();
      grid.focus(this.place);
    });
  }

  /** Show one of the grid's photos: its thumbnail at once, itself when it can be opened. */
  async open(place) {
    const hit = this.grid.hits[place];
    if (hit === undefined) return;
    this.place = place;
    const picture = this.dialog.querySelector("img");
    const [thumbnail] = await this.thumbnails.addresses([hit.key]);
    picture.src = thumbnail ?? "";
    picture.alt = photoName(hit.key);
    this.dialog.querySelector("strong").textContent = photoName(hit.key);
    this.dialog.querySelector(".bar .soft").textContent =
      `${place + 1} of ${this.grid.hits.length}, in ${hit.key[1]}`;
    if (!this.dialog.open) this.dialog.showModal();
    const original = await this.engine.call("original", { key: hit.key });
    if (original === null || this.place !== place || !this.dialog.open) return;
    this.#forget();
    this.#address = URL.createObjectURL(original);
    await show(picture, this.#address, thumbnail);
  }

  #step(by) {
    const place = this.place + by;
    if (place >= 0 && place < this.grid.hits.length) this.open(place);
  }

  #forget() {
    if (this.#address !== null) URL.revokeObjectURL(this.#address);
    this.#address = null;
  }
}

/** Replace a picture only by one that the browser can show. */
async function show(picture, address, otherwise) {
  picture.src = address;
  try {
    await picture.decode();
  } catch {
    if (picture.src === address) picture.src = otherwise ?? "";
  }
}
