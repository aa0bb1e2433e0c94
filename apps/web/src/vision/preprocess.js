/** From an upright photo to the pixels that an image tower takes, as the bundle says. */

import { resize } from "./resample.js";

/** Of a photo more elongated than this, only the middle is resized. */
const LONGEST_ASPECT = 8;

/** Pixels of `(3, size, size)`, RGB, equal to `retrieval.vision.preprocess`. */
export function preprocess(photo, spec) {
  const whole = [0, 0, photo.width, photo.height];
  const box = spec.resize_mode === "shortest" ? middle(whole) : whole;
  const [width, height] = resizedSize(box[2] - box[0], box[3] - box[1], spec);
  const pixels = resize(photo, box, width, height, spec.interpolation);
  return toPlanes(pixels, width, height, spec);
}

/**
 * Pixels in the form that a tower's input has.
 *
 * @param {Uint8Array} planes RGB `(3, size, size)`.
 * @returns {{data: Uint8Array | Float32Array, dims: number[]}} With a batch of one.
 */
export function asInput(planes, spec, { layout, type }) {
  const area = spec.size * spec.size;
  const data = type === "float32" ? new Float32Array(planes.length) : new Uint8Array(planes.length);
  const channels = spec.channel_order === "BGR" ? [2, 1, 0] : [0, 1, 2];
  channels.forEach((from, to) => {
    const plane = planes.subarray(from * area, (from + 1) * area);
    if (layout === "NCHW") data.set(plane, to * area);
    else plane.forEach((value, pixel) => (data[pixel * 3 + to] = value));
  });
  const square = [spec.size, spec.size];
  return { data, dims: layout === "NCHW" ? [1, 3, ...square] : [1, ...square, 3] };
}

function middle([left, top, right, bottom]) {
  const longest = LONGEST_ASPECT * Math.min(right - left, bottom - top);
  const x = Math.floor(Math.max(0, right - left - longest) / 2);
  const y = Math.floor(Math.max(0, bottom - top - longest) / 2);
  return [left + x, top + y, right - x, bottom - y];
}

function resizedSize(width, height, spec) {
  const { size } = spec;
  if (spec.resize_mode === "squash") return [size, size];
  if (spec.resize_mode === "longest") {
    const ratio = Math.max(width, height) / size;
    return [width, height].map((side) => Math.max(1, roundToEven(side / ratio)));
  }
  if (width <= height) return [size, Math.trunc((size * height) / width)];
  return [Math.trunc((size * width) / height), size];
}

function toPlanes(pixels, width, height, spec) {
  const { size, fill } = spec;
  const area = size * size;
  const planes = new Uint8Array(3 * area);
  fill.forEach((value, channel) => planes.fill(value, channel * area, (channel + 1) * area));
  const left = offset(width, size);
  const top = offset(height, size);
  for (let y = Math.max(0, top); y < Math.min(size, top + height); y++) {
    for (let x = Math.max(0, left); x < Math.min(size, left + width); x++) {
      const from = ((y - top) * width + (x - left)) * 3;
      for (let channel = 0; channel < 3; channel++) {
        planes[channel * area + y * size + x] = pixels[from + channel];
      }
    }
  }
  return planes;
}

/** As torchvision's centre crop, whose rounding goes to the even neighbour at a half. */
function offset(side, target) {
  return side > target ? -roundToEven((side - target) / 2) : Math.floor((target - side) / 2);
}

function roundToEven(value) {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
