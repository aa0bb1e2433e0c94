/** The library's panel: folders, progress, and what was skipped. */

import { chooseFolder, chosenFiles, mayRead } from "./folders.js";

const SAMPLES = "Sample photos";
const element = (id) => document.getElementById(id);

export class LibraryPanel {
  /**
   * @param {Engine} engine
   * @param {{announce: (text: string) => void, onChange: () => Promise<void>,
   *   onError: (error: Error) => void}} page `onChange`: there are other photos to search.
   */
  constructor(engine, { announce, onChange, onError }) {
    this.engine = engine;
    this.announce = announce;
    this.onChange = onChange;
    const guarded = (action) => () => action().catch(onError);
    element("library-button").addEventListener("click", () => this.toggle());
    element("choose-folder").addEventListener("click", guarded(() => this.#choose()));
    element("folder-input").addEventListener("change", guarded(() => this.index(chosenFiles(element("folder-input")))));
    element("sample-photos").addEventListener("click", guarded(() => this.index(sampleFolder())));
    element("stop").addEventListener("click", guarded(() => engine.call("stop")));
    this.guarded = guarded;
  }

  /** Show the folders; the panel stands open as a welcome while there are none. */
  async refresh() {
    const folders = await this.engine.call("folders");
    const photos = folders.reduce((sum, { count }) => sum + count, 0);
    const empty = photos === 0;
    element("library").classList.toggle("welcome", empty);
    element("library-button").hidden = empty;
    element("library-title").textContent = empty ? "Your photos, in words" : "Library";
    element("choose-folder").classList.toggle("strong", empty);
    element("folders").replaceChildren(...folders.map((folder) => this.#row(folder)));
    for (const id of ["choose-folder", "sample-photos"]) element(id).disabled = false;
    element("sample-photos").hidden = folders.some(({ name }) => name === SAMPLES);
    if (empty) this.toggle(true);
    return photos;
  }

  toggle(open = element("library").hidden) {
    element("library").hidden = !open;
    element("library-button").ariaExpanded = String(open);
  }

  /** Index a folder from beginning to end, or until it is stopped. */
  async index(folder) {
    if (folder === null) return;
    this.progress({ done: 0, total: 0, skipped: 0 });
    this.toggle(false);
    element("stop").focus();
    try {
      const report = await this.engine.call("index", folder);
      showSkipped(report.skipped);
      this.toggle(report.total === 0 || report.skipped.length > 0);
      await this.onChange();
      this.announce(summary(report));
    } finally {
      this.#endProgress();
    }
  }

  progress({ done, total, skipped }) {
    const text = total === 0 ? "Looking for photos…" : `${done} of ${total} photos`;
    element("progress").hidden = false;
    element("progress").querySelector("label").textContent = skipped ? `${text}, ${skipped} skipped` : text;
    element("progress-bar").max = Math.max(1, total);
    element("progress-bar").value = done;
  }

  /** What had the focus is going; it must not fall back to the top of the page. */
  #endProgress() {
    const focused = document.activeElement === element("stop");
    element("progress").hidden = true;
    if (focused) element(element("query").disabled ? "choose-folder" : "query").focus();
  }

  async #choose() {
    await this.index(await chooseFolder(element("folder-input"), "photos"));
  }

  #row({ name, count, handle }) {
    const row = document.createElement("li");
    const title = document.createElement("b");
    title.textContent = name;
    const amount = document.createElement("span");
    amount.className = "soft";
    amount.textContent = count === 1 ? "1 photo" : `${count} photos`;
    row.append(title, amount);
    if (handle || name === SAMPLES) {
      row.append(quietButton("Update", `Update ${name}`, this.guarded(() => this.#update(name, handle))));
    }
    row.append(quietButton("Remove", `Remove ${name} from the library`, this.guarded(() => this.#forget(name))));
    return row;
  }

  async #update(name, handle) {
    if (name === SAMPLES) await this.index(sampleFolder());
    else if (await mayRead(handle)) await this.index({ handle });
  }

  async #forget(folder) {
    await this.engine.call("forget", { folder });
    this.announce(`${folder} is no longer in the library`);
    await this.onChange();
  }
}

function sampleFolder() {
  return { name: SAMPLES, site: new URL("photos/", document.baseURI).href };
}

function quietButton(text, label, action) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet";
  button.textContent = text;
  button.ariaLabel = label;
  button.addEventListener("click", action);
  return button;
}

function showSkipped(skipped) {
  const details = element("skipped");
  details.hidden = skipped.length === 0;
  details.querySelector("summary").textContent =
    skipped.length === 1 ? "1 photo was skipped" : `${skipped.length} photos were skipped`;
  details.querySelector("ul").replaceChildren(
    ...skipped.map(({ path, why }) => {
      const item = document.createElement("li");
      const name = document.createElement("b");
      name.textContent = path;
      item.append(name, ` ${why}`);
      return item;
    }),
  );
}

function summary({ folder, total, added, kept, skipped, stopped }) {
  if (total === 0) return `There are no photos in ${folder}`;
  const parts = [`${added} ${added === 1 ? "photo" : "photos"} added from ${folder}`];
  if (kept > 0) parts.push(`${kept} unchanged`);
  if (skipped.length > 0) parts.push(`${skipped.length} skipped`);
  return parts.join(", ") + (stopped ? ". Stopped: choose it again to go on" : "");
}
