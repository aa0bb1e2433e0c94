/** The bundle, as `retrieval/spec/bundle.py` defines it: read, checked, and its files verified. */

import { BundleError } from "./errors.js";

const BUNDLE_FORMAT = 1;
const MANIFEST = "bundle.json";
/** The only `text.kind` that this page knows; manifests leave it out. */
const TOKENIZER = "bpe";

/** What this page knows how to do, by the field that asks for it. */
const KNOWN = {
  "normalised": [true],
  "preprocessing.resize_mode": ["shortest", "squash", "longest"],
  "preprocessing.interpolation": ["bilinear", "bicubic", "lanczos"],
  "preprocessing.antialias": [true],
  "preprocessing.channel_order": ["RGB", "BGR"],
  "preprocessing.layout": ["NCHW", "NHWC"],
  "preprocessing.pixel_type": ["uint8", "float32"],
  "preprocessing.exif_orientation": ["apply", "ignore"],
  "text.cleaning": ["clip"],
  "text.integer_type": ["int32"],
};

const WHOLE_NUMBERS = [
  "embedding_dim",
  "preprocessing.size",
  "text.vocabulary_size",
  "text.context_length",
  "text.start_id",
  "text.end_id",
  "text.pad_id",
];

/**
 * Read and validate `bundle.json` without touching the large files that it names.
 *
 * @returns {Promise<object>} The manifest.
 * @throws {BundleError} No bundle there, a newer format, or a malformed manifest.
 */
export async function readBundle(source) {
  const text = new TextDecoder().decode(await source.read(MANIFEST));
  const place = source.name(MANIFEST);
  let manifest;
  try {
    manifest = JSON.parse(text);
  } catch {
    throw new BundleError(`${place} is not JSON; export the bundle again`);
  }
  if (Number.isInteger(manifest?.format) && manifest.format > BUNDLE_FORMAT) {
    throw new BundleError(
      `${place} has format ${manifest.format}, this page reads up to ${BUNDLE_FORMAT}: ` +
        "get a newer leanclip",
    );
  }
  const kind = manifest?.text?.kind ?? TOKENIZER;
  if (kind !== TOKENIZER) {
    throw new BundleError(
      `${place}: sentences are cut into tokens by ${kind}, and this page knows only byte pairs (bpe): ` +
        "search with leanclip itself, or export a model that has CLIP's tokenizer",
    );
  }
  const wrong = firstWrongField(manifest);
  if (wrong !== null) throw new BundleError(`${place}: ${wrong}; export the bundle again`);
  return manifest;
}

/**
 * One tower's ONNX file: of a precision, or the recommended, or the smallest.
 *
 * @throws {BundleError} The bundle has no such file.
 */
export function towerFile(manifest, tower, precisions = null) {
  const found = manifest.files
    .filter((file) => file.tower === tower && file.format === "onnx")
    .filter((file) => precisions === null || precisions.includes(file.precision))
    .sort((one, other) => Boolean(other.recommended) - Boolean(one.recommended) || one.bytes - other.bytes);
  if (found.length === 0) {
    const kind = precisions === null ? "ONNX" : `${precisions.join(" or ")} ONNX`;
    throw new BundleError(`bundle ${manifest.name} has no ${kind} file of its ${tower} tower`);
  }
  return found[0];
}

/**
 * A file's bytes after their SHA-256 was found to be the promised one.
 *
 * @returns {Promise<Uint8Array>}
 * @throws {BundleError} The file is missing, lies outside the bundle, or differs.
 */
export async function checkedBytes(source, path, sha256) {
  if (/^[/\\]|[\\:?#]|(^|\/)\.\.(\/|$)/.test(path)) {
    throw new BundleError(`${source.name(MANIFEST)} names ${path}, which lies outside the bundle`);
  }
  if (globalThis.crypto?.subtle === undefined) {
    throw new BundleError("files cannot be checked on a page without https: use https or localhost");
  }
  const bytes = await source.read(path, sha256);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const found = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (found !== sha256) {
    throw new BundleError(
      `${source.name(path)} is damaged: its SHA-256 is not the one in ${MANIFEST}; ` +
        "export or copy the bundle again",
    );
  }
  return new Uint8Array(bytes);
}

function firstWrongField(manifest) {
  if (typeof manifest !== "object" || manifest === null) return "it holds no object";
  if (manifest.format !== BUNDLE_FORMAT) return "format is missing";
  for (const name of ["name", "fingerprint", "text.vocabulary_file", "text.vocabulary_sha256"]) {
    if (typeof field(manifest, name) !== "string") return `${name} is missing`;
  }
  for (const name of WHOLE_NUMBERS) {
    if (!Number.isInteger(field(manifest, name))) return `${name} is not a whole number`;
  }
  for (const [name, allowed] of Object.entries(KNOWN)) {
    const found = field(manifest, name);
    if (!allowed.includes(found)) return `${name} is ${JSON.stringify(found)}, which is not known here`;
  }
  return Array.isArray(manifest.files) ? null : "files is missing";
}

function field(manifest, name) {
  return name.split(".").reduce((value, key) => value?.[key], manifest);
}
