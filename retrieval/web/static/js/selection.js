/** Photos that the user has chosen, to download them as one file. */

import { ask } from "./api.js";
import { announce, element, make } from "./dom.js";
import { photoCount } from "./format.js";

// As many as the server puts into one file.
const MOST = 5000;

export class Selection {
  #ids = new Set();
  #anchor = null;
  #wanted = false;

  /** @param {{onChange: () => void, onError: (error: Error) => void}} page */
  constructor({ onChange, onError }) {
    this.onChange = onChange;
    this.library = null;
    element("select-none").addEventListener("click", () => this.clear());
    element("select").addEventListener("click", () => this.want(!this.isOn));
    element("download").addEventListener("click", () => this.#download().catch(onError));
  }

  /** Whether a click selects a photo and does not open it. */
  get isOn() {
    return this.#wanted || this.#ids.size > 0;
  }

  has(id) {
    return this.#ids.has(id);
  }

  /** Begin to select, for fingers that cannot hover, or end it. */
  want(wanted) {
    this.#wanted = wanted;
    if (!wanted) this.#ids.clear();
    this.#changed();
  }

  toggle(photos, place) {
    const { id } = photos[place];
    if (!this.#ids.delete(id)) this.#ids.add(id);
    this.#anchor = id;
    this.#changed();
  }

  /** Select the photo that a range begins with. */
  begin(photos, place) {
    if (this.#ids.size > 0) return;
    this.#ids.add(photos[place].id);
    this.#anchor = photos[place].id;
  }

  /** Select everything from the photo that was chosen last up to this one. */
  extend(photos, place) {
    const anchor = Math.max(0, photos.findIndex(({ id }) => id === this.#anchor));
    const [first, last] = anchor < place ? [anchor, place] : [place, anchor];
    photos.slice(first, last + 1).forEach(({ id }) => this.#ids.add(id));
    this.#changed();
  }

  all(photos) {
    photos.forEach(({ id }) => this.#ids.add(id));
    this.#changed();
  }

  clear() {
    const focused = element("selection").contains(document.activeElement);
    this.want(false);
    // The bar that held the focus is gone.
    if (focused) element("query").focus();
  }

  #changed() {
    const count = this.#ids.size;
    element("selection").hidden = count === 0;
    element("selection").querySelector("p").textContent = `${count.toLocaleString()} selected`;
    element("select").ariaPressed = String(this.isOn);
    element("select").textContent = this.isOn ? "Done" : "Select";
    announce(count === 0 ? "No photo is selected" : `${photoCount(count)} selected`);
    this.onChange();
  }

  async #download() {
    if (this.#ids.size > MOST) throw new Error(`At most ${MOST.toLocaleString()} photos fit into one download`);
    const { selection } = await ask(`${this.library.root}/selections`, { method: "POST", body: { photos: [...this.#ids] } });
    // The browser saves it as it arrives; a script would have to hold all of it.
    const link = make("a", { href: `${this.library.root}/selections/${selection}.zip`, download: "" });
    document.body.append(link);
    link.click();
    link.remove();
  }
}
