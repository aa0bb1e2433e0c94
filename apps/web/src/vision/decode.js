/** From a photo file to upright pixels, or one line that says why not. */

import { PhotoError } from "../spec/errors.js";

/** As in Python; what this browser cannot decode is skipped with its reason. */
const PHOTO_NAME = /\.(jpe?g|png|webp|avif|gif|tiff?|bmp|hei[cf])$/i;
const RARE_FORMAT = /\.(tiff?|hei[cf]|avif)$/i;

/** Whether the name ends like a photo's. */
export function isPhotoName(name) {
  return PHOTO_NAME.test(name);
}

/** A decoded photo; `close` it when its pixels are no longer needed. */
export class Photo {
  #bitmap;
  #fill;
  #strip = null;

  constructor(bitmap, fill) {
    this.#bitmap = bitmap;
    this.#fill = `rgb(${fill.join(" ")})`;
    this.width = bitmap.width;
    this.height = bitmap.height;
  }

  /** RGBA of some rows; transparent pixels are laid over the fill colour. */
  rows(top, count) {
    if (this.#strip?.canvas.height !== count) {
      const canvas = new OffscreenCanvas(this.width, count);
      this.#strip = canvas.getContext("2d", { willReadFrequently: true });
    }
    this.#strip.fillStyle = this.#fill;
    this.#strip.fillRect(0, 0, this.width, count);
    this.#strip.drawImage(this.#bitmap, 0, -top);
    return this.#strip.getImageData(0, 0, this.width, count).data;
  }

  /** A small picture of it to show, as a file. */
  async thumbnail(longest) {
    const scale = Math.min(1, longest / Math.max(this.width, this.height));
    const [width, height] = [this.width, this.height].map((side) => Math.max(1, Math.round(side * scale)));
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext("2d");
    context.fillStyle = this.#fill;
    context.fillRect(0, 0, width, height);
    context.imageSmoothingQuality = "high";
    context.drawImage(this.#bitmap, 0, 0, width, height);
    return canvas.convertToBlob({ type: "image/jpeg", quality: 0.82 });
  }

  close() {
    this.#bitmap.close();
    this.#strip = null;
  }
}

/**
 * Decode a photo, turned upright as the bundle asks, in its own colour numbers.
 *
 * @param {Blob} file
 * @param {object} spec `preprocessing` of the manifest.
 * @param {string} name For the reason why it cannot be read.
 * @returns {Promise<Photo>}
 * @throws {PhotoError} The file is empty, damaged, or of a format that this browser lacks.
 */
export async function openPhoto(file, spec, name) {
  if (file.size === 0) throw new PhotoError("is empty (0 bytes)");
  const upright = spec.exif_orientation === "apply";
  try {
    const blob = upright ? file : await withoutExif(file);
    const bitmap = await createImageBitmap(blob, {
      imageOrientation: "from-image",
      // Colour numbers as they are in the file: that is what the model was trained on.
      colorSpaceConversion: "none",
    });
    return new Photo(bitmap, spec.fill);
  } catch (error) {
    throw new PhotoError(await reason(file, name, error));
  }
}

async function reason(file, name, error) {
  if (error.name === "NotFoundError" || error.name === "NotReadableError") {
    return "has changed or gone since the folder was chosen";
  }
  const kind = RARE_FORMAT.exec(name)?.[1].toUpperCase();
  return kind ? `is ${kind}, which this browser cannot read, or damaged` : "is damaged, or no photo";
}

const JPEG_START = 0xffd8;
const APP1 = 0xffe1;
const SCAN = 0xffda;

/** A JPEG without the metadata that says how to turn it; other files as they are. */
async function withoutExif(file) {
  const view = new DataView(await file.arrayBuffer());
  if (view.byteLength < 4 || view.getUint16(0) !== JPEG_START) return file;
  for (let place = 2; place + 4 <= view.byteLength; ) {
    const marker = view.getUint16(place);
    if (marker === SCAN || marker < 0xff00) break;
    if (marker === APP1 && place + 8 <= view.byteLength) view.setUint32(place + 4, 0);
    place += 2 + view.getUint16(place + 2);
  }
  return new Blob([view.buffer], { type: "image/jpeg" });
}
