/** Photos that were found, as a list of buttons. */

const PHOTO_KEYS = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };

/** What a person calls a photo. */
export function photoName([, , path]) {
  return path.split("/").at(-1);
}

export class Grid {
  /**
   * @param {HTMLUListElement} list
   * @param {Thumbnails} thumbnails
   * @param {(place: number) => void} onOpen
   */
  constructor(list, thumbnails, onOpen) {
    this.list = list;
    this.thumbnails = thumbnails;
    this.hits = [];
    list.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) onOpen(this.buttons().indexOf(button));
    });
    list.addEventListener("keydown", (event) => this.#move(event));
  }

  /**
   * Show hits in place of what was shown; what fits stays, so that nothing flickers.
   *
   * @param {{key: Key, score: number | null}[]} hits
   */
  async show(hits) {
    const addresses = await this.thumbnails.addresses(hits.map(({ key }) => key));
    const items = new Map(Array.from(this.list.children, (item) => [item.dataset.key, item]));
    const focused = this.list.contains(document.activeElement) ? document.activeElement : null;
    this.hits = hits;
    this.list.replaceChildren(
      ...hits.map((hit, place) => {
        const name = JSON.stringify(hit.key);
        const item = items.get(name) ?? makeItem(hit.key, addresses[place]);
        item.dataset.key = name;
        item.querySelector("b").textContent = hit.score === null ? "" : hit.score.toFixed(3);
        return item;
      }),
    );
    // Moving an element takes the focus from it.
    focused?.focus({ preventScroll: true });
  }

  buttons() {
    return Array.from(this.list.querySelectorAll("button"));
  }

  focus(place) {
    this.buttons()[place]?.focus();
  }

  #move(event) {
    const buttons = this.buttons();
    const place = buttons.indexOf(document.activeElement);
    if (place < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
    let target = null;
    if (event.key in PHOTO_KEYS) {
      target = buttons[Math.max(0, Math.min(buttons.length - 1, place + PHOTO_KEYS[event.key]))];
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      target = nearestInNextRow(buttons, place, event.key === "ArrowDown");
    }
    if (target === null) return;
    event.preventDefault();
    target.focus();
  }
}

function makeItem(key, address) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  const picture = document.createElement("img");
  button.type = "button";
  picture.alt = photoName(key);
  picture.decoding = "async";
  picture.addEventListener("load", () => {
    const aspect = picture.naturalWidth / picture.naturalHeight;
    // A panorama must not squeeze out its row, nor a strip fill the page.
    item.style.setProperty("--aspect", Math.max(0.6, Math.min(2.4, aspect)).toFixed(3));
  });
  if (address) picture.src = address;
  button.append(picture);
  const caption = document.createElement("p");
  const name = document.createElement("span");
  name.textContent = photoName(key);
  name.title = key[2];
  name.ariaHidden = "true";
  caption.append(name, document.createElement("b"));
  item.append(button, caption);
  return item;
}

/** The photo of the row below or above whose middle is nearest. */
function nearestInNextRow(buttons, place, down) {
  const here = buttons[place].getBoundingClientRect();
  const boxes = buttons.map((button) => ({ button, box: button.getBoundingClientRect() }));
  const beyond = boxes.filter(({ box }) => (down ? box.top > here.bottom : box.bottom < here.top));
  if (beyond.length === 0) return null;
  const row = down ? Math.min(...beyond.map(({ box }) => box.top)) : Math.max(...beyond.map(({ box }) => box.top));
  const middle = here.left + here.width / 2;
  const distance = ({ box }) => Math.abs(box.left + box.width / 2 - middle);
  return beyond
    .filter(({ box }) => Math.abs(box.top - row) < 4)
    .reduce((best, one) => (distance(one) < distance(best) ? one : best)).button;
}
