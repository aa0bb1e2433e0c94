/** The engine's side of the page: calls go to a worker, answers come back as promises. */

export class Engine {
  #worker = new Worker(new URL("../search/worker.js", import.meta.url), { type: "module" });
  #waiting = new Map();
  #last = 0;

  /** @param {(progress: object) => void} onProgress Of an indexing run, after each photo. */
  constructor(onProgress) {
    this.#worker.addEventListener("message", ({ data }) => {
      if (data.progress) return onProgress(data.progress);
      const { resolve, reject } = this.#waiting.get(data.id);
      this.#waiting.delete(data.id);
      if (data.error) reject(Object.assign(new Error(data.error.message), { name: data.error.name }));
      else resolve(data.result);
    });
    this.#worker.addEventListener("error", (event) => {
      const error = new Error(`the search engine stopped: ${event.message ?? "it could not be loaded"}`);
      this.#waiting.forEach(({ reject }) => reject(error));
      this.#waiting.clear();
    });
  }

  /** Call one of the engine's functions, see `search/worker.js`. */
  call(name, options) {
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, call: name, options });
    });
  }
}
