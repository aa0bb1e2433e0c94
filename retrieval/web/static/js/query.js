/** What is looked for: words as they are typed, or a photo that is chosen, dropped or pasted. */

import { element } from "./dom.js";

const PAUSE = 130;

export class QueryBar {
  #pause = 0;

  /** @param {{onWords: (q: string) => void, onPhoto: (file: File) => void, onBack: () => void, onDown: () => void}} page */
  constructor({ onWords, onPhoto, onBack, onDown }) {
    const input = element("query");
    const typed = (pause) => {
      clearTimeout(this.#pause);
      this.#pause = setTimeout(() => {
        this.#pause = 0;
        onWords(input.value);
      }, pause);
    };
    input.addEventListener("input", () => typed(PAUSE));
    element("search").addEventListener("submit", (event) => {
      event.preventDefault();
      typed(0);
    });
    input.addEventListener("keydown", (event) => {
      if (event.key === "ArrowDown") onDown();
      else if (event.key === "Backspace" && input.value === "" && !element("example").hidden) onBack();
      else if (event.key === "Escape" && input.value === "") input.blur();
      else return;
      event.preventDefault();
    });
    element("by-photo").addEventListener("click", () => element("photo-input").click());
    element("photo-input").addEventListener("change", ({ target }) => {
      if (target.files.length > 0) onPhoto(target.files[0]);
      target.value = "";
    });
    element("example").querySelector("button").addEventListener("click", onBack);
    acceptDrops(onPhoto);
    addEventListener("paste", ({ clipboardData }) => {
      const file = Array.from(clipboardData.files).find(({ type }) => type.startsWith("image/"));
      if (file) onPhoto(file);
    });
    document.addEventListener("keydown", (event) => {
      const isTyping = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName);
      const isTaken = event.ctrlKey || event.metaKey || event.altKey;
      if (event.key !== "/" || isTyping || isTaken || document.querySelector("dialog[open]")) return;
      event.preventDefault();
      input.focus();
      input.select();
    });
  }

  /**
   * Show what is asked for, wherever it came from.
   *
   * @param {string} q
   * @param {{picture: string, name: string} | null} example
   */
  show(q, example) {
    const input = element("query");
    // What is being typed is newer than what is shown, and is asked for in a moment.
    if (this.#pause === 0 && input.value.trim() !== q.trim()) input.value = q;
    element("example").hidden = example === null;
    input.placeholder = example === null ? "two dogs running in the snow" : "";
    if (example === null) return;
    element("example").querySelector("img").src = example.picture;
    element("example").querySelector("span").textContent = example.name;
  }
}

function acceptDrops(onPhoto) {
  const hint = element("drop");
  const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragover", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    hint.hidden = document.querySelector("dialog[open]") !== null;
  });
  addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) hint.hidden = true;
  });
  addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    const isTaken = hint.hidden;
    hint.hidden = true;
    if (!isTaken && event.dataTransfer.files.length > 0) onPhoto(event.dataTransfer.files[0]);
  });
}
