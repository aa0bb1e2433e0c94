/** Pictures of photos, as addresses that an `<img>` takes; each is fetched once. */

const MOST = 600;

export class Thumbnails {
  #engine;
  #addresses = new Map();

  constructor(engine) {
    this.#engine = engine;
  }

  /**
   * @param {Key[]} keys
   * @returns {Promise<(string | null)[]>}
   */
  async addresses(keys) {
    const missing = keys.filter((key) => !this.#addresses.has(JSON.stringify(key)));
    if (missing.length > 0) {
      const found = await this.#engine.call("thumbnails", { keys: missing });
      missing.forEach((key, place) => {
        const picture = found[place];
        if (picture) this.#addresses.set(JSON.stringify(key), URL.createObjectURL(picture));
      });
    }
    const wanted = keys.map((key) => this.#addresses.get(JSON.stringify(key)) ?? null);
    this.#forgetOldest(new Set(wanted));
    return wanted;
  }

  #forgetOldest(shown) {
    for (const [name, address] of this.#addresses) {
      if (this.#addresses.size <= MOST) return;
      if (shown.has(address)) continue;
      URL.revokeObjectURL(address);
      this.#addresses.delete(name);
    }
  }
}
