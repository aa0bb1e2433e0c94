/** One tower file in the runtime. */

import { BundleError } from "../spec/errors.js";

export class Tower {
  /** @param {object} entry The manifest's entry; `dim` numbers are what it must return. */
  constructor(session, entry, dim, ort) {
    this.session = session;
    this.entry = entry;
    this.dim = dim;
    this.ort = ort;
    this.input = entry.interface?.input ?? session.inputNames[0];
    this.output = entry.interface?.output ?? session.outputNames[0];
  }

  /**
   * @param {Uint8Array} bytes The file, already checked.
   * @throws {BundleError} The runtime cannot load it.
   */
  static async create(ort, bytes, entry, { backend, dim }) {
    try {
      const session = await ort.InferenceSession.create(bytes, {
        executionProviders: [backend],
        graphOptimizationLevel: "all",
      });
      return new Tower(session, entry, dim, ort);
    } catch (error) {
      const why = String(error.message ?? error).replace(/\s+/g, " ").slice(0, 300);
      throw new BundleError(`${entry.file} cannot be loaded by ONNX Runtime Web: ${why}`);
    }
  }

  /**
   * An embedding of one input. One at a time, because an int8 tower may choose its scale for
   * the whole batch, and an embedding must not depend on its neighbours.
   *
   * @param {Uint8Array | Float32Array | Int32Array} data
   * @param {number[]} dims With a batch of one.
   * @returns {Promise<Float32Array>} `(dim,)`.
   */
  async run(data, dims) {
    const type = { Uint8Array: "uint8", Float32Array: "float32", Int32Array: "int32" }[data.constructor.name];
    const tensor = new this.ort.Tensor(type, data, dims);
    const results = await this.session.run({ [this.input]: tensor });
    const vector = Float32Array.from(results[this.output].data);
    if (vector.length !== this.dim) {
      throw new BundleError(
        `${this.entry.file} makes vectors of ${vector.length} numbers, the bundle promises ${this.dim}`,
      );
    }
    return vector;
  }

  release() {
    return this.session.release();
  }
}
