/** Both towers of a bundle, its tokenizer and its preprocessing. */

import { Tokenizer } from "../language/tokenizer.js";
import { checkedBytes, readBundle, towerFile } from "../spec/bundle.js";
import { BundleError } from "../spec/errors.js";
import { openPhoto } from "../vision/decode.js";
import { asInput, preprocess } from "../vision/preprocess.js";
import { checkGolden, readGolden } from "./golden.js";
import { hasWebGpu, loadRuntime, threadsFor } from "./runtime.js";
import { Tower } from "./tower.js";

const TOWERS = ["image", "text"];
/** What a graphics processor computes well; int8 towers are made for the processor. */
const FLOATS = ["fp32", "fp16"];

export class Encoder {
  /** @param {{image: Tower, text: Tower}} towers */
  constructor(manifest, tokenizer, towers, { backend, threads }) {
    this.manifest = manifest;
    this.tokenizer = tokenizer;
    this.towers = towers;
    this.backend = backend;
    this.threads = threads;
  }

  /**
   * Open a bundle that passes its own golden test here.
   *
   * WebGPU is taken where the browser has one, the bundle's own choice is a floating-point file,
   * and the golden test passes on it; else WebAssembly.
   *
   * @param {UrlSource | FolderSource} source
   * @param {{backend?: "auto" | "wasm" | "webgpu", threads?: number | null}} options
   * @returns {Promise<{encoder: Encoder, golden: object}>}
   * @throws {BundleError} Something is missing, damaged or unknown, or the golden test failed.
   */
  static async open(source, { backend = "auto", threads = null } = {}) {
    const manifest = await readBundle(source);
    const golden = await readGolden(source, manifest);
    if (await wantsWebGpu(manifest, backend)) {
      const found = await attempt(source, manifest, golden, "webgpu", threads);
      if (found.error === null) return found;
      if (backend === "webgpu") throw found.error;
    }
    const found = await attempt(source, manifest, golden, "wasm", threads);
    if (found.error !== null) throw found.error;
    return found;
  }

  /** Without its golden test; who calls this makes it. */
  static async load(source, manifest, { backend, threads = null }) {
    const precisions = backend === "webgpu" ? FLOATS : null;
    const entries = TOWERS.map((tower) => towerFile(manifest, tower, precisions));
    const [ort, tokenizer, ...files] = await Promise.all([
      loadRuntime(backend, threads),
      Tokenizer.open(source, manifest.text),
      ...entries.map((entry) => checkedBytes(source, entry.file, entry.sha256)),
    ]);
    const towers = {};
    for (const [place, entry] of entries.entries()) {
      const options = { backend, dim: manifest.embedding_dim };
      towers[entry.tower] = await Tower.create(ort, files[place], entry, options);
    }
    return new Encoder(manifest, tokenizer, towers, { backend, threads: threadsFor(threads) });
  }

  /** @returns {Promise<Float32Array>} An embedding of length one. */
  encodeSentence(sentence) {
    const ids = this.tokenizer.encode(sentence);
    return this.towers.text.run(ids, [1, ids.length]);
  }

  /** @param {Uint8Array} planes RGB `(3, size, size)`. */
  encodePixels(planes) {
    const { data, dims } = this.imageInput(planes);
    return this.towers.image.run(data, dims);
  }

  /** The form that the image tower takes pixels in, by its interface or by the bundle. */
  imageInput(planes) {
    const spec = this.manifest.preprocessing;
    const { interface: called } = this.towers.image.entry;
    const form = { layout: called?.layout ?? spec.layout, type: called?.type ?? spec.pixel_type };
    return asInput(planes, spec, form);
  }

  /**
   * Decode and preprocess a photo; what to do with the photo itself, such as a thumbnail, is
   * done before it is closed.
   *
   * @throws {PhotoError} It cannot be decoded.
   */
  async pixelsOf(file, name, whileOpen = async () => null) {
    const photo = await openPhoto(file, this.manifest.preprocessing, name);
    try {
      return { pixels: preprocess(photo, this.manifest.preprocessing), extra: await whileOpen(photo) };
    } finally {
      photo.close();
    }
  }

  async release() {
    await Promise.all(Object.values(this.towers).map((tower) => tower.release()));
  }
}

async function wantsWebGpu(manifest, backend) {
  if (backend === "wasm") return false;
  const chosen = TOWERS.map((tower) => towerFile(manifest, tower).precision);
  const fits = backend === "webgpu" || chosen.every((precision) => FLOATS.includes(precision));
  if (!fits || (await hasWebGpu())) return fits;
  if (backend === "webgpu") throw new BundleError("this browser has no WebGPU that answers");
  return false;
}

async function attempt(source, manifest, golden, backend, threads) {
  let encoder = null;
  try {
    encoder = await Encoder.load(source, manifest, { backend, threads });
    const report = await checkGolden(encoder, golden);
    if (report.failures.length === 0) return { encoder, golden: report, error: null };
    throw new BundleError(
      `the self-test of ${manifest.name} failed on this browser, so nothing is searched with it: ` +
        report.failures[0],
    );
  } catch (error) {
    await encoder?.release();
    return { encoder: null, golden: null, error };
  }
}
