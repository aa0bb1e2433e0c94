/** The page: puts the parts together. */

import { Engine } from "./engine.js";
import { chooseFolder, chosenFiles, filesBelow } from "./folders.js";
import { Grid } from "./grid.js";
import { LibraryPanel } from "./library.js";
import { keepForOffline } from "./offline.js";
import { QueryBar } from "./query.js";
import { asSentence } from "./sentence.js";
import { Thumbnails } from "./thumbnails.js";
import { Viewer } from "./viewer.js";

const PAGE = 48;
/** Milliseconds between looks at what an indexing run has added. */
const REFRESH_AFTER = 1500;
const DEFAULT_BUNDLE = "bundle/";
const element = (id) => document.getElementById(id);

const engine = new Engine(indexed);
const thumbnails = new Thumbnails(engine);
const grid = new Grid(element("results"), thumbnails, (place) => viewer.open(place));
const viewer = new Viewer(element("viewer"), { engine, thumbnails, grid, onLike: searchLike });
const query = new QueryBar(() => search(PAGE));
const library = new LibraryPanel(engine, { announce, onChange: refresh, onError: complain });

let model = null;
let photos = 0;
/** Answers may come in another order than questions; only the newest is shown. */
let newest = 0;
let refreshed = 0;

/** Open a bundle; what went wrong is said in one line, and nothing can be searched. */
async function openBundle(choice) {
  query.enable(false);
  element("model").textContent = "Loading the model and testing it…";
  element("problem").hidden = true;
  try {
    model = await engine.call("open", choice);
    describe(model);
    await refresh();
    await offline(model.addresses);
  } catch (error) {
    complain(error);
    library.toggle(true);
  }
  // Where another bundle could not be opened, the one before still serves.
  if (model === null) element("model").textContent = "No model";
  else describe(model);
  query.enable(photos > 0);
}

function describe({ name, licence, backend, threads, bytes, worstCosine }) {
  const computes = backend === "webgpu" ? "WebGPU" : `${threads} ${threads === 1 ? "thread" : "threads"}`;
  element("model").textContent = `${name}, self-test passed`;
  element("model-details").textContent =
    `${name}: ${(bytes / 1e6).toFixed(1)} MB, ${computes}. Its self-test passed here: every golden ` +
    `photo and sentence came within a cosine of ${worstCosine.toFixed(4)} of PyTorch. Licence: ${licence}.`;
}

async function offline(addresses) {
  try {
    const kept = await keepForOffline(addresses);
    document.documentElement.dataset.offline = kept ? "ready" : "unavailable";
  } catch {
    // Searching does not depend on it; the next visit tries again.
    document.documentElement.dataset.offline = "unavailable";
  }
}

/** After each photo of an indexing run: what is there can be searched already. */
function indexed(progress) {
  library.progress(progress);
  if (performance.now() - refreshed < REFRESH_AFTER) return;
  refreshed = performance.now();
  refresh({ quiet: true }).catch(complain);
}

/** After the photos or the model have changed. */
async function refresh({ quiet = false } = {}) {
  photos = await library.refresh();
  query.enable(photos > 0);
  await search(Math.max(PAGE, quiet ? grid.hits.length : 0), { quiet });
}

async function search(top, { quiet = false } = {}) {
  const mine = ++newest;
  try {
    const hits = photos === 0 ? [] : await ask(query.query, top + 1);
    if (mine !== newest) return;
    await grid.show(hits.slice(0, top));
    element("more").hidden = hits.length <= top;
    if (photos > 0 && !quiet) announce(found(query.query, Math.min(hits.length, top)));
    element("problem").hidden = true;
  } catch (error) {
    if (mine === newest) complain(error, query.query);
  }
}

function ask(asked, top) {
  if (asked.kind === "photo") return engine.call("searchPhoto", { file: asked.file, top });
  if (asked.kind === "like") return engine.call("searchLike", { key: asked.key, top });
  const { sentence } = asked;
  return sentence.trim() === "" ? engine.call("browse", { top }) : engine.call("searchSentence", { sentence, top });
}

function found(asked, shown) {
  const count = `${photos} ${photos === 1 ? "photo" : "photos"}`;
  if (asked.kind === "words" && asked.sentence.trim() === "") return `${count} in the library`;
  return `Best ${shown} of ${count}`;
}

async function searchLike(key) {
  const [thumbnail] = await thumbnails.addresses([key]);
  query.askLike(key, thumbnail);
  scrollTo({ top: 0 });
}

function announce(text) {
  element("status").textContent = text;
}

function complain(error, asked = null) {
  const line = error.name === "PhotoError" ? `${asked?.file?.name ?? "the photo"} ${error.message}` : error.message;
  element("problem").textContent = asSentence(line);
  element("problem").hidden = false;
}

element("more").addEventListener("click", async () => {
  const before = grid.hits.length;
  await search(before + PAGE);
  grid.focus(before);
});
element("query").addEventListener("keydown", (event) => {
  if (event.key !== "ArrowDown") return;
  event.preventDefault();
  grid.focus(0);
});
element("choose-bundle").addEventListener("click", async () => {
  try {
    const chosen = await chooseFolder(element("bundle-input"), "bundle");
    if (chosen) await openBundle({ files: await filesBelow(chosen.handle) });
  } catch (error) {
    complain(error);
  }
});
element("bundle-input").addEventListener("change", () => {
  const chosen = chosenFiles(element("bundle-input"));
  if (chosen) openBundle({ files: chosen.files });
});

const parameters = new URLSearchParams(location.search);
openBundle({
  address: parameters.get("bundle") ?? DEFAULT_BUNDLE,
  backend: parameters.get("backend") ?? "auto",
  page: document.baseURI,
});
