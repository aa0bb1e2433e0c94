/** One photo, large, with everything that is known of it. */

import { make } from "./dom.js";
import { amount, clock, coordinates, duration, fileSize, fullDay } from "./format.js";
import { Player } from "./player.js";

export class Viewer {
  #turn = 0;
  #isLost = false;
  #isUnplayable = false;

  /**
   * @param {HTMLDialogElement} dialog
   * @param {{grid: Grid, selection: Selection, onLike: (photo: object) => void,
   *   onNear: (latitude: number, longitude: number) => void, onNeedMore: () => Promise<void>}} page
   */
  constructor(dialog, page) {
    this.dialog = dialog;
    this.page = page;
    this.place = 0;
    this.picture = dialog.querySelector("img");
    this.player = new Player(dialog.querySelector("video"), () => {
      this.#isUnplayable = true;
      this.#showStage();
    });
    const actions = {
      previous: () => this.#show(this.place - 1),
      next: () => this.#show(this.place + 1),
      close: () => dialog.close(),
      select: () => {
        page.selection.toggle(page.grid.photos, this.place);
        this.#showSelected();
      },
      like: () => {
        dialog.close();
        page.onLike(this.photo);
      },
      near: () => {
        dialog.close();
        page.onNear(this.details.latitude, this.details.longitude);
      },
    };
    dialog.addEventListener("click", (event) => actions[event.target.closest("[data-act]")?.dataset.act]?.());
    dialog.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      // In a video, arrows move through its time.
      if (step === undefined || event.altKey || event.target.localName === "video") return;
      event.preventDefault();
      this.#show(this.place + step);
    });
    dialog.addEventListener("close", () => {
      this.player.unload();
      page.grid.focus(this.place);
    });
    this.picture.addEventListener("error", () => this.#showLost());
    swipes(dialog.querySelector(".stage"), (step) => this.#show(this.place + step));
  }

  get photo() {
    return this.page.grid.photos[this.place];
  }

  open(place) {
    this.#show(place);
    if (!this.dialog.open) this.dialog.showModal();
    this.#act("close").focus();
  }

  #act(name) {
    return this.dialog.querySelector(`[data-act=${name}]`);
  }

  async #show(place) {
    const { grid, onNeedMore } = this.page;
    if (place >= grid.photos.length - 5) await onNeedMore();
    if (place < 0 || place >= grid.photos.length) return;
    this.place = place;
    const mine = ++this.#turn;
    const { photo } = this;
    const { library } = grid;
    this.#isLost = this.#isUnplayable = false;
    this.#showStage();
    const poster = library.thumbnail(photo, "large");
    this.picture.alt = photo.name;
    this.picture.src = poster;
    this.player.unload();
    if (photo.is_video) this.player.load(library.file(photo), { poster, name: photo.name, moment: photo.moment_ms });
    this.dialog.querySelector("h2").textContent = photo.name;
    this.#act("download").href = library.file(photo);
    this.#act("previous").disabled = place === 0;
    this.#act("next").disabled = place === grid.photos.length - 1;
    this.#showSelected();
    // The next one is there when it is wanted.
    if (place + 1 < grid.photos.length) new Image().src = library.thumbnail(grid.photos[place + 1], "large");
    try {
      const details = await library.ask(`/photos/${photo.id}`);
      if (mine !== this.#turn) return;
      this.details = details;
      this.dialog.querySelector("dl").replaceChildren(...lines(details, photo));
    } catch {
      if (mine === this.#turn) this.#showLost();
    }
  }

  #showSelected() {
    const isSelected = this.page.selection.has(this.photo.id);
    this.#act("select").ariaPressed = String(isSelected);
    this.#act("select").textContent = isSelected ? "Selected" : "Select";
  }

  #showLost() {
    this.#isLost = true;
    this.#showStage();
    this.dialog.querySelector("dl").replaceChildren();
  }

  /** The photo, the video, or what there is in its place. */
  #showStage() {
    const plays = this.photo.is_video && !this.#isUnplayable;
    this.player.video.hidden = this.#isLost || !plays;
    this.picture.hidden = this.#isLost || plays;
    this.dialog.querySelector(".lost").hidden = !this.#isLost;
    this.dialog.querySelector(".unplayable").hidden = this.#isLost || !this.#isUnplayable;
  }
}

function lines(details, photo) {
  const date = details.taken ?? details.modified;
  const size = details.width ? `${amount(details.width)} × ${amount(details.height)}` : null;
  const folder = details.path.slice(0, -details.name.length).replace(/[/\\]$/, "");
  return [
    line(details.taken ? "Taken" : "Last changed", fullDay(date), make("small", { textContent: clock(date) })),
    details.camera && line("Camera", details.camera),
    line("File", [size, fileSize(details.bytes), details.type.toUpperCase()].filter(Boolean).join(" · ")),
    details.duration_ms !== null && line("Length", duration(details.duration_ms)),
    photo.moment_ms !== null && line("Found at", duration(photo.moment_ms)),
    details.latitude !== null && line("Place", coordinates(details.latitude, details.longitude), nearby()),
    photo.score !== null && line("Match", photo.score.toFixed(3)),
    line("Folder", folder, "", "wide"),
  ].filter(Boolean);
}

function line(term, text, more = "", className = "") {
  return make("div", { className }, make("dt", { textContent: term }), make("dd", {}, text, more));
}

function nearby() {
  return make("button", { type: "button", className: "quiet", textContent: "Photos near here", dataset: { act: "near" } });
}

function swipes(area, onSwipe) {
  let from = null;
  const begin = ({ touches, target }) => {
    // A finger on a video moves through its time.
    from = touches.length === 1 && target.localName !== "video" ? touches[0].clientX : null;
  };
  area.addEventListener("touchstart", begin, { passive: true });
  area.addEventListener("touchend", ({ changedTouches }) => {
    if (from === null) return;
    const moved = changedTouches[0].clientX - from;
    if (Math.abs(moved) > 60) onSwipe(moved < 0 ? 1 : -1);
  });
}
