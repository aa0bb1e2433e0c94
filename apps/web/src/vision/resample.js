/**
 * Resizing with an antialiased filter, equal to Pillow's but for the rounding between directions.
 *
 * A canvas scales with filters of the browser's choice, which cost recall; so here the filter
 * is the one that the model was trained with. Columns are resized first, then rows, with weights
 * in fixed point, as in Pillow's `Resample.c`.
 */

const FRACTION_BITS = 22;
const ONE = 2 ** FRACTION_BITS;
const HALF = ONE / 2;
const STRIP = 128;

function sinc(x) {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

const FILTERS = {
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: {
    support: 2,
    weight: (x) => {
      const d = Math.abs(x);
      if (d < 1) return (1.5 * d - 2.5) * d * d + 1;
      return d < 2 ? ((-0.5 * d + 2.5) * d - 4) * d + 2 : 0;
    },
  },
  lanczos: { support: 3, weight: (x) => (-3 <= x && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

/**
 * Weights of one direction.
 *
 * @param {number} size Pixels that there are.
 * @param {number} low Where the part to resize begins, in pixels; may be a fraction.
 * @param {number} high Where it ends.
 * @param {number} target Pixels that it becomes.
 */
function weightsOf(size, low, high, target, filter) {
  const scale = (high - low) / target;
  const widened = Math.max(1, scale);
  // A product with the reciprocal, which differs from a quotient in the last bit, as in Pillow.
  const narrowed = 1 / widened;
  const support = filter.support * widened;
  const most = Math.ceil(support) * 2 + 1;
  const starts = new Int32Array(target);
  const counts = new Int32Array(target);
  const weights = new Int32Array(target * most);
  for (let place = 0; place < target; place++) {
    const centre = low + (place + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - support + 0.5));
    const count = Math.min(size, Math.trunc(centre + support + 0.5)) - start;
    const exact = Array.from({ length: count }, (_, x) => filter.weight((x + start - centre + 0.5) * narrowed));
    const sum = exact.reduce((total, weight) => total + weight, 0);
    exact.forEach((weight, x) => {
      const share = sum === 0 ? weight : weight / sum;
      weights[place * most + x] = Math.trunc(share * ONE + (share < 0 ? -0.5 : 0.5));
    });
    starts[place] = start;
    counts[place] = count;
  }
  return { starts, counts, weights, most };
}

function clip(sum) {
  const value = sum >> FRACTION_BITS;
  return value < 0 ? 0 : value > 255 ? 255 : value;
}

/** One row of RGBA pixels to a row of RGB. */
function resizeRow(pixels, from, rows, to, columns, width) {
  const { starts, counts, weights, most } = columns;
  for (let x = 0; x < width; x++) {
    let red = HALF, green = HALF, blue = HALF;
    let pixel = from + starts[x] * 4;
    for (let k = x * most, last = k + counts[x]; k < last; k++, pixel += 4) {
      const weight = weights[k];
      red += weight * pixels[pixel];
      green += weight * pixels[pixel + 1];
      blue += weight * pixels[pixel + 2];
    }
    rows[to++] = clip(red);
    rows[to++] = clip(green);
    rows[to++] = clip(blue);
  }
}

function resizeColumns(rows, first, lines, width, height) {
  const stride = width * 3;
  const result = new Uint8Array(stride * height);
  const { starts, counts, weights, most } = lines;
  const sums = new Int32Array(stride);
  for (let y = 0; y < height; y++) {
    sums.fill(HALF);
    for (let k = 0; k < counts[y]; k++) {
      const weight = weights[y * most + k];
      const row = (starts[y] - first + k) * stride;
      for (let x = 0; x < stride; x++) sums[x] += weight * rows[row + x];
    }
    for (let x = 0; x < stride; x++) result[y * stride + x] = clip(sums[x]);
  }
  return result;
}

/**
 * Resize a part of a photo.
 *
 * @param {{width: number, height: number, rows: (top: number, count: number) => Uint8ClampedArray}}
 *   photo `rows` returns RGBA; it is asked for a strip at a time, so that a photo of 50 megapixels
 *   needs no second copy of itself.
 * @param {[number, number, number, number]} box Left, top, right, bottom of the part.
 * @param {"bilinear" | "bicubic" | "lanczos"} interpolation
 * @returns {Uint8Array} RGB, `(height, width, 3)`.
 */
export function resize(photo, box, width, height, interpolation) {
  const filter = FILTERS[interpolation];
  const columns = weightsOf(photo.width, box[0], box[2], width, filter);
  const lines = weightsOf(photo.height, box[1], box[3], height, filter);
  const first = lines.starts[0];
  const last = lines.starts[height - 1] + lines.counts[height - 1];
  const rows = new Uint8Array((last - first) * width * 3);
  for (let top = first; top < last; top += STRIP) {
    const count = Math.min(STRIP, last - top);
    const pixels = photo.rows(top, count);
    for (let y = 0; y < count; y++) {
      resizeRow(pixels, y * photo.width * 4, rows, (top - first + y) * width * 3, columns, width);
    }
  }
  return resizeColumns(rows, first, lines, width, height);
}
