/** The library: its folders, and indexing as it goes on. */

import { ask } from "./api.js";
import { announce, element, make } from "./dom.js";
import { amount, asSentence, photoCount } from "./format.js";

/** Milliseconds between looks at what indexing has added. */
const REFRESH_AFTER = 4000;

export class LibraryPanel {
  #events = null;
  #wasRunning = false;
  #refreshed = 0;

  /** @param {{onPhotos: () => void, onError: (error: Error) => void}} page */
  constructor({ onPhotos, onError }) {
    this.onPhotos = onPhotos;
    this.onError = onError;
    const dialog = element("library");
    element("library-button").addEventListener("click", () => {
      dialog.showModal();
      this.#list().catch(onError);
    });
    dialog.addEventListener("click", (event) => {
      // A click on the dialog itself is one beside its content.
      if (event.target === dialog || event.target.closest(".close")) dialog.close();
    });
    element("update").addEventListener("click", () => this.update([]));
    element("stop").addEventListener("click", () => this.library.ask("/indexing", { method: "DELETE" }).catch(onError));
    element("skipped").addEventListener("toggle", ({ target }) => target.open && this.#listSkipped().catch(onError));
  }

  /** Follow another library. */
  follow(library, { model }) {
    this.library = library;
    this.model = model;
    this.#events?.close();
    this.#wasRunning = false;
    this.#events = new EventSource(`${library.root}/indexing/events`);
    this.#events.addEventListener("message", ({ data }) => this.#show(JSON.parse(data)));
  }

  /** Bring folders up to date; none means all. */
  async update(folders) {
    element("library").close();
    try {
      await this.library.ask("/indexing", { method: "POST", body: { folders } });
    } catch (error) {
      this.onError(error);
    }
  }

  #show(state) {
    const { running, stopping, folder, done, total, skipped, error } = state;
    element("progress").hidden = !running;
    element("stop").disabled = stopping;
    element("update").disabled = running;
    const bar = element("progress-bar");
    if (total > 0) bar.value = done / total;
    else bar.removeAttribute("value");
    const missed = skipped > 0 ? `, ${amount(skipped)} skipped` : "";
    const place = folder === null ? "" : ` ${folder}`;
    element("progress").querySelector("label").textContent = stopping
      ? "Stopping…"
      : total > 0 ? `Indexing${place}: ${amount(done)} of ${amount(total)}${missed}` : `Looking through${place}…`;
    if (running && !this.#wasRunning) announce("Indexing has begun");
    const finished = !running && this.#wasRunning;
    this.#wasRunning = running;
    if (error !== null) this.onError(new Error(error));
    if (!finished && (done === 0 || performance.now() - this.#refreshed < REFRESH_AFTER)) return;
    this.#refreshed = performance.now();
    this.onPhotos({ finished });
  }

  async #list() {
    const [choices, libraries] = await Promise.all([this.library.ask("/choices"), ask("/api/libraries")]);
    const { photos } = libraries.find(({ name }) => name === this.library.name);
    element("library-about").textContent = `${photoCount(photos)}, searched with ${this.model}.`;
    element("folders").replaceChildren(
      ...choices.folders.filter(({ depth }) => depth === 0).map((folder) => this.#row(folder)),
    );
    element("update").hidden = choices.folders.length === 0;
    element("skipped").open = false;
  }

  #row({ id, label, photos }) {
    const update = make("button", { type: "button", className: "quiet", textContent: "Update", disabled: this.#wasRunning });
    update.ariaLabel = `Update ${label}`;
    update.addEventListener("click", () => this.update([id]));
    return make("li", {}, make("b", { textContent: label }), make("span", { className: "soft", textContent: photoCount(photos) }), update);
  }

  async #listSkipped() {
    const skipped = await this.library.ask("/skipped");
    const none = make("li", { textContent: "Every file can be searched." });
    const rows = skipped.map(({ path, why }) => make("li", {}, make("b", { textContent: path }), ` ${asSentence(why)}`));
    element("skipped").querySelector("ul").replaceChildren(...(rows.length > 0 ? rows : [none]));
  }
}
