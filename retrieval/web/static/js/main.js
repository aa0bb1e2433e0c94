/** The page: puts the parts together. */

import { ask, Library } from "./api.js";
import { announce, element, headline, make } from "./dom.js";
import { Filters } from "./filters.js";
import { asSentence, dayAfter, photoCount } from "./format.js";
import { Grid } from "./grid.js";
import { LibraryPanel } from "./library.js";
import { unlocked } from "./lock.js";
import { QueryBar } from "./query.js";
import { Selection } from "./selection.js";
import { filterCount, State } from "./state.js";
import { Viewer } from "./viewer.js";

const PAGE = 60;
const KILOMETRES = 10;
/** How far below the window the next photos are asked for, so that scrolling never waits. */
const AHEAD = "1600px";

const state = new State((asked) => changed(asked));
const selection = new Selection({ onChange: () => grid.refresh(), onError: complain });
const grid = new Grid(element("photos"), { onOpen: (place) => viewer.open(place), selection });
const viewer = new Viewer(element("viewer"), { grid, selection, onLike: askLike, onNear: askNear, onNeedMore: more });
const filters = new Filters(state);
const panel = new LibraryPanel({ onPhotos: indexed, onError: complain });
const query = new QueryBar({
  onWords: (q) => state.ask({ q }, { step: state.asked.like !== "" || state.asked.example !== null }),
  onPhoto: askPhoto,
  onBack: () => {
    state.ask({ q: "" });
    element("query").focus();
  },
  onDown: () => grid.focus(0),
});

let libraries = [];
let library = null;
/** Answers may come in another order than questions: the older one is dropped. */
let running = new AbortController();
let next = null;
let loading = null;

async function begin() {
  try {
    await unlocked();
    libraries = await ask("/api/libraries");
    const select = element("libraries").querySelector("select");
    select.replaceChildren(...libraries.map(({ name }) => make("option", { value: name, textContent: name })));
    element("libraries").hidden = libraries.length < 2;
    select.addEventListener("change", () => {
      selection.clear();
      history.pushState(null, "", `?library=${encodeURIComponent(select.value)}`);
      dispatchEvent(new PopStateEvent("popstate"));
    });
    new IntersectionObserver(([{ isIntersecting }]) => isIntersecting && more(), { rootMargin: AHEAD }).observe(element("end"));
    await changed(state.asked);
    if (matchMedia("(hover: hover)").matches) element("query").focus();
  } catch (error) {
    complain(error);
  }
}

/** What is asked for has changed, by whatever. */
async function changed(asked) {
  await choose(asked.library);
  query.show(asked.q, exampleOf(asked));
  filters.show(asked);
  await search(asked);
}

async function choose(name) {
  const chosen = libraries.find((one) => one.name === name) ?? libraries[0];
  if (library?.name === chosen.name) return;
  library = new Library(chosen.name);
  selection.library = library;
  element("libraries").querySelector("select").value = chosen.name;
  panel.follow(library, chosen);
  filters.offer(await library.ask("/choices"));
}

async function search(asked, { quiet = false } = {}) {
  running.abort();
  running = new AbortController();
  loading = null;
  const { signal } = running;
  element("photos").ariaBusy = String(!quiet);
  try {
    const answer = await library.ask("/photos", { params: parameters(asked, 0), signal });
    // Between the answer and here, something newer may have been asked.
    if (signal.aborted) return;
    const byDate = answer.total !== null;
    grid.show(library, answer.photos, { byDate });
    next = answer.next;
    element("problem").hidden = true;
    element("select").hidden = answer.photos.length === 0;
    if (!quiet) scrollTo({ top: 0 });
    headline(summary(asked, answer));
    await showEmpty(asked, answer);
  } catch (error) {
    if (error.name !== "AbortError" && !signal.aborted) complain(error);
  } finally {
    if (!signal.aborted) element("photos").ariaBusy = "false";
  }
}

/** The next page, once however often it is asked for. */
function more() {
  if (next === null || library === null) return Promise.resolve();
  loading ??= append(running.signal).finally(() => (loading = null));
  return loading;
}

async function append(signal) {
  try {
    const answer = await library.ask("/photos", { params: parameters(state.asked, next), signal });
    if (signal.aborted) return;
    grid.append(answer.photos);
    next = answer.next;
    // Where the window is still not full, no scrolling will ask again.
    if (next !== null && element("end").getBoundingClientRect().top < innerHeight) setTimeout(more);
  } catch (error) {
    if (error.name !== "AbortError") complain(error);
  }
}

function parameters({ q, like, example, folder, type, camera, after, until, near }, offset) {
  const [latitude, longitude] = near.split(",");
  const place = near === "" ? {} : { latitude, longitude, kilometres: KILOMETRES };
  const before = until === "" ? "" : dayAfter(until);
  return { q, like, example: example?.key, folder, type, camera, after, before, ...place, offset, limit: PAGE };
}

function summary(asked, { photos, total }) {
  if (photos.length === 0) return "";
  if (total === null) return asked.like || asked.example ? "Most alike first" : "Best matches first";
  return photoCount(total) + (filterCount(asked) > 0 ? " match" : "");
}

async function showEmpty(asked, { photos }) {
  const box = element("empty");
  box.hidden = photos.length > 0;
  if (photos.length > 0) return;
  const isFiltered = filterCount(asked) > 0 || asked.q !== "";
  const [title, text] = box.querySelectorAll("h2, p");
  const button = box.querySelector("button");
  title.textContent = isFiltered ? "No photo fits" : "Your photos, in words";
  text.textContent = isFiltered
    ? "Take away a filter, or look for something else."
    : "There are no photos in this library yet. In a terminal, name the folder that holds yours:";
  box.querySelector("code").hidden = isFiltered;
  box.querySelector("code").textContent = "leanclip serve ~/Pictures";
  button.hidden = filterCount(asked) === 0;
  button.textContent = "Clear all filters";
  button.onclick = () => state.clearFilters();
}

/** While photos are added, and when that is done: show them where that disturbs nobody. */
async function indexed({ finished }) {
  try {
    if (finished) filters.offer(await library.ask("/choices"));
    const isReading = scrollY > 100 || selection.isOn || document.querySelector("dialog[open]");
    const hasFocus = element("photos").contains(document.activeElement);
    if (!isReading && !hasFocus) await search(state.asked, { quiet: true });
    if (finished) announce("Indexing has ended");
  } catch (error) {
    complain(error);
  }
}

function askLike(photo) {
  state.ask({ like: String(photo.id) });
}

function askNear(latitude, longitude) {
  state.set({ q: "", like: "", example: null, near: `${latitude},${longitude}` });
}

async function askPhoto(file) {
  const picture = URL.createObjectURL(file);
  try {
    headline("Looking at the photo…");
    const { example: key } = await library.ask("/examples", { method: "POST", body: file });
    state.ask({ example: { key, picture, name: file.name } });
  } catch (error) {
    URL.revokeObjectURL(picture);
    complain(error);
  }
}

function exampleOf({ like, example }) {
  if (example !== null) return example;
  if (like === "") return null;
  const name = grid.photos.find(({ id }) => String(id) === like)?.name ?? "a photo of yours";
  // By id alone: its version is not known when the page is opened with it.
  return { picture: `${library.root}/photos/${encodeURIComponent(like)}/thumbnails/small`, name };
}

function complain(error) {
  headline("");
  element("problem").hidden = false;
  element("problem").querySelector("p").textContent = asSentence(error.message);
  element("photos").ariaBusy = "false";
}

element("problem").querySelector("button").addEventListener("click", () => {
  if (library === null) location.reload();
  else search(state.asked);
});

begin();
