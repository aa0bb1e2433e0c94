/** Exact search over vectors in memory. */

export class VectorIndex {
  /** @param {number} dim Numbers of a vector. */
  constructor(dim) {
    this.dim = dim;
    this.keys = [];
    this.rows = new Map();
    this.matrix = new Float32Array(dim * 64);
  }

  get size() {
    return this.rows.size;
  }

  has(key) {
    return this.rows.has(JSON.stringify(key));
  }

  vector(key) {
    const row = this.rows.get(JSON.stringify(key));
    return row === undefined ? null : this.matrix.slice(row * this.dim, (row + 1) * this.dim);
  }

  add(key, vector) {
    const row = this.keys.length;
    if ((row + 1) * this.dim > this.matrix.length) {
      const larger = new Float32Array(this.matrix.length * 2);
      larger.set(this.matrix);
      this.matrix = larger;
    }
    this.matrix.set(vector, row * this.dim);
    this.keys.push(key);
    this.rows.set(JSON.stringify(key), row);
  }

  /** Rows of removed photos stay, without a key, until the page is opened again. */
  remove(key) {
    const name = JSON.stringify(key);
    this.keys[this.rows.get(name)] = null;
    this.rows.delete(name);
  }

  /**
   * Photos by cosine, best first; equal ones in the order they were added.
   *
   * @param {Float32Array} query Of length one.
   * @param {number} top At most this many.
   * @returns {{key: Key, score: number}[]}
   */
  search(query, top) {
    const best = [];
    for (let row = 0; row < this.keys.length; row++) {
      if (this.keys[row] === null) continue;
      const score = this.score(row, query);
      if (best.length === top && score <= best[top - 1].score) continue;
      let place = best.length;
      while (place > 0 && best[place - 1].score < score) place--;
      best.splice(place, 0, { key: this.keys[row], score });
      if (best.length > top) best.pop();
    }
    return best;
  }

  score(row, query) {
    let sum = 0;
    for (let place = 0, from = row * this.dim; place < this.dim; place++) {
      sum += query[place] * this.matrix[from + place];
    }
    return sum;
  }
}
