/** A video in the large view, ready to play from the moment that was found. */

export class Player {
  #start = 0;

  /**
   * @param {HTMLVideoElement} video
   * @param {() => void} onUnplayable This browser does not know the format, or the file is gone.
   */
  constructor(video, onUnplayable) {
    this.video = video;
    video.addEventListener("loadedmetadata", () => {
      // Of what it cannot decode, a browser may still play the sound.
      if (video.videoWidth === 0) onUnplayable();
      else video.currentTime = this.#start;
    });
    video.addEventListener("error", onUnplayable);
  }

  /**
   * Load a video, and stand at a moment of it.
   *
   * @param {string} address
   * @param {{poster: string, name: string, moment: number | null}} options The moment in
   *   milliseconds; they are cut off, and a picture begins up to one later.
   */
  load(address, { poster, name, moment }) {
    this.#start = moment === null ? 0 : (moment + 1) / 1000;
    this.video.ariaLabel = name;
    this.video.poster = poster;
    this.video.src = address;
  }

  /** Be silent, and ask the server for nothing more. */
  unload() {
    if (!this.video.hasAttribute("src")) return;
    this.video.pause();
    this.video.removeAttribute("src");
    this.video.removeAttribute("poster");
    this.video.load();
  }
}
