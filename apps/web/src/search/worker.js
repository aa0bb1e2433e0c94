/** The engine, apart from the page so that the page stays responsive. */

import { Encoder } from "../encode/encoder.js";
import { FolderSource, UrlSource } from "../spec/source.js";
import { openDatabase } from "./database.js";
import { indexFolder } from "./indexing.js";
import { listFiles, listHandle, listSite } from "./listing.js";
import { VectorIndex } from "./vectors.js";

const library = { encoder: null, database: null, index: null };
/** Opens the file of a photo that was listed since the page was opened, by folder and path. */
const openers = new Map();
let indexing = { stop: () => {}, ended: Promise.resolve() };

const calls = {
  /** Open a bundle: an address on this site or files of a folder. */
  async open({ address, files, page, backend, threads }) {
    const source = files ? new FolderSource(files) : new UrlSource(address, page);
    const { encoder, golden } = await Encoder.open(source, { backend, threads });
    await stopIndexing();
    const previous = library.encoder;
    library.database ??= await openDatabase();
    library.index = await loadIndex(encoder.manifest);
    library.encoder = encoder;
    await previous?.release();
    return {
      name: encoder.manifest.name,
      licence: encoder.manifest.licence,
      backend: encoder.backend,
      threads: encoder.threads,
      bytes: Object.values(encoder.towers).reduce((sum, { entry }) => sum + entry.bytes, 0),
      worstCosine: Math.min(golden.towers.image.worst_cosine, golden.towers.text.worst_cosine),
      addresses: source.addresses,
    };
  },

  /** What is indexed: folders with how many photos, and whether they can be opened again. */
  async folders() {
    const remembered = await library.database.folders();
    const counts = new Map();
    for (const key of library.index.keys) {
      if (key !== null) counts.set(key[1], (counts.get(key[1]) ?? 0) + 1);
    }
    return Array.from(counts, ([name, count]) => ({ name, count, handle: remembered.get(name)?.handle ?? null }));
  },

  async index({ name, handle, files, site }) {
    await stopIndexing();
    const folder = handle ? await nameOf(handle) : name;
    const photos = await list({ handle, files, site });
    openers.set(folder, new Map(photos.map((photo) => [photo.path, photo.open])));
    await library.database.rememberFolder(folder, { handle: handle ?? null });
    const onProgress = (report, done) =>
      postMessage({ progress: { folder, done, total: report.total, skipped: report.skipped.length } });
    const control = new AbortController();
    // A copy, so that a run ends with the model and the vectors that it began with.
    const run = indexFolder(folder, photos, { ...library }, onProgress, control.signal);
    indexing = { stop: () => control.abort(), ended: run.catch(() => {}) };
    return { folder, ...(await run) };
  },

  stop: stopIndexing,

  async forget({ folder }) {
    await stopIndexing();
    const keys = library.index.keys.filter((key) => key !== null && key[1] === folder);
    await library.database.remove(keys);
    await library.database.forgetFolder(folder);
    keys.forEach((key) => library.index.remove(key));
  },

  async searchSentence({ sentence, top }) {
    return library.index.search(await library.encoder.encodeSentence(sentence), top);
  },

  async searchPhoto({ file, top }) {
    const { pixels } = await library.encoder.pixelsOf(file, file.name ?? "photo");
    return library.index.search(await library.encoder.encodePixels(pixels), top);
  },

  /** Photos like an indexed one, which comes first itself. */
  searchLike({ key, top }) {
    const vector = library.index.vector(key);
    return vector === null ? [] : library.index.search(vector, top);
  },

  /** Everything, in the order it was indexed. */
  browse({ top }) {
    return library.index.keys.filter((key) => key !== null).slice(0, top).map((key) => ({ key, score: null }));
  },

  thumbnails({ keys }) {
    return library.database.thumbnails(keys);
  },

  /** The photo itself where it can still be opened, else null. */
  async original({ key: [, folder, path] }) {
    try {
      return (await openers.get(folder)?.get(path)?.()) ?? null;
    } catch {
      return null;
    }
  },
};

async function stopIndexing() {
  indexing.stop();
  await indexing.ended;
}

async function loadIndex(manifest) {
  const index = new VectorIndex(manifest.embedding_dim);
  for (const { key, vector } of await library.database.vectors(manifest.fingerprint)) {
    index.add(key, vector);
  }
  return index;
}

function list({ handle, files, site }) {
  if (handle) return listHandle(handle);
  return files ? listFiles(files) : listSite(site);
}

/** The folder's own name, with a number where another folder of that name was indexed. */
async function nameOf(handle) {
  const remembered = await library.database.folders();
  for (let number = 1; ; number++) {
    const name = number === 1 ? handle.name : `${handle.name} (${number})`;
    const other = remembered.get(name);
    if (other === undefined || (other.handle && (await other.handle.isSameEntry(handle)))) return name;
  }
}

addEventListener("message", async ({ data: { id, call, options } }) => {
  try {
    postMessage({ id, result: await calls[call](options ?? {}) });
  } catch (error) {
    postMessage({ id, error: { name: error.name, message: error.message } });
  }
});
