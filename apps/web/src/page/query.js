/** What is asked for: words as they are typed, or a photo. */

import { photoName } from "./grid.js";

const TYPING_PAUSE = 120;
const element = (id) => document.getElementById(id);

/**
 * @typedef {{kind: "words", sentence: string} | {kind: "photo", file: File}
 *   | {kind: "like", key: Key}} Query
 */

export class QueryBar {
  #own = null;
  #pause = 0;

  /** @param {(query: Query) => void} onQuery Called after each change. */
  constructor(onQuery) {
    this.onQuery = onQuery;
    this.query = { kind: "words", sentence: "" };
    const input = element("query");
    input.addEventListener("input", () => this.#typed());
    element("search").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#typed(0);
    });
    element("by-photo").addEventListener("click", () => element("photo-input").click());
    element("photo-input").addEventListener("change", (event) => {
      if (event.target.files.length > 0) this.askPhoto(event.target.files[0]);
      event.target.value = "";
    });
    element("photo-query").querySelector("button").addEventListener("click", () => this.askWords());
    acceptDrops((file) => this.askPhoto(file));
    document.addEventListener("keydown", (event) => {
      const busy = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName);
      if (event.key !== "/" || busy || document.querySelector("dialog[open]")) return;
      event.preventDefault();
      input.focus();
    });
  }

  /** Let the user ask, or not. */
  enable(enabled) {
    element("query").disabled = !enabled;
    element("by-photo").disabled = !enabled;
  }

  askPhoto(file) {
    if (this.#own !== null) URL.revokeObjectURL(this.#own);
    this.#own = URL.createObjectURL(file);
    this.#show(this.#own, `Photos like ${file.name}`);
    this.#set({ kind: "photo", file });
  }

  askLike(key, thumbnail) {
    this.#show(thumbnail, `Photos like ${photoName(key)}`);
    this.#set({ kind: "like", key });
  }

  askWords() {
    this.#hide();
    this.#set({ kind: "words", sentence: element("query").value });
    element("query").focus();
  }

  #typed(pause = TYPING_PAUSE) {
    clearTimeout(this.#pause);
    this.#pause = setTimeout(() => {
      this.#hide();
      this.#set({ kind: "words", sentence: element("query").value });
    }, pause);
  }

  #set(query) {
    clearTimeout(this.#pause);
    this.query = query;
    this.onQuery(query);
  }

  #show(address, text) {
    const panel = element("photo-query");
    panel.hidden = false;
    panel.querySelector("img").src = address ?? "";
    panel.querySelector("p").textContent = text;
  }

  #hide() {
    element("photo-query").hidden = true;
  }
}

function acceptDrops(onPhoto) {
  const hint = element("drop");
  const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragover", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    hint.hidden = false;
  });
  addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) hint.hidden = true;
  });
  addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    hint.hidden = true;
    if (event.dataTransfer.files.length > 0 && !element("by-photo").disabled) {
      onPhoto(event.dataTransfer.files[0]);
    }
  });
}
