/** The golden self-test, as `export/verify/golden_check.py` runs it. */

import { checkedBytes } from "../spec/bundle.js";
import { BundleError, PhotoError } from "../spec/errors.js";

const FILE = "golden.json";
const FORMAT = 1;
const GRID = 4;
const LENGTH_TOLERANCE = 1e-3;

/**
 * @param {object} manifest Holds the file's hash, but in bundles from before it was recorded.
 * @returns {Promise<object>} What `golden.json` says.
 * @throws {BundleError} It is missing, damaged or malformed.
 */
export async function readGolden(source, manifest) {
  const sha256 = manifest.golden_sha256 ?? null;
  const bytes = sha256 === null ? await source.read(FILE) : await checkedBytes(source, FILE, sha256);
  const text = new TextDecoder().decode(bytes);
  let golden = null;
  try {
    golden = JSON.parse(text);
  } catch {
    // Answered below like any other wrong content.
  }
  const whole = golden?.format === FORMAT && golden.sentences?.length && golden.photos?.length;
  if (!whole || !golden.pattern) {
    throw new BundleError(`${source.name(FILE)} is malformed; export the bundle again`);
  }
  return golden;
}

/**
 * Run the golden inputs through an encoder.
 *
 * @returns {Promise<{towers: object, failures: string[]}>} By tower: the worst cosine, null where
 *   an embedding was of no use, the least that is asked, and a sentence for each failure.
 */
export async function checkGolden(encoder, golden) {
  const image = await checkTower(encoder, golden, "image");
  const text = await checkTower(encoder, golden, "text");
  return { towers: { image, text }, failures: [...image.failures, ...text.failures] };
}

/** The golden inputs of one tower; the encoder needs no other. */
export function checkTower(encoder, golden, tower) {
  return tower === "image" ? checkPhotos(encoder, golden) : checkSentences(encoder, golden);
}

async function checkPhotos(encoder, golden) {
  const found = judge(encoder, golden, "image");
  const spec = encoder.manifest.preprocessing;
  for (const photo of golden.photos) {
    const name = `photo ${photo.name}`;
    try {
      const file = new Blob([fromBase64(photo.jpeg)], { type: "image/jpeg" });
      const { pixels } = await encoder.pixelsOf(file, "golden.jpg");
      const difference = largestDifference(fieldMeans(pixels, spec.size), photo.grid);
      if (!(difference <= golden.grid_tolerance)) {
        found.fail(
          `${name}: pixels differ by ${difference.toFixed(1)} of 255, ` +
            `at most ${golden.grid_tolerance} allowed`,
        );
      }
      found.compare(name, await encoder.encodePixels(pixels), photo.embedding);
    } catch (error) {
      if (!(error instanceof PhotoError)) throw error;
      found.fail(`${name} ${error.message}`);
    }
  }
  found.compare("the pattern", await encoder.encodePixels(pattern(spec.size)), golden.pattern.embedding);
  return found.result();
}

async function checkSentences(encoder, golden) {
  const found = judge(encoder, golden, "text");
  for (const { text, ids, embedding } of golden.sentences) {
    const name = `sentence ${JSON.stringify(text.slice(0, 40))}`;
    if (encoder.tokenizer.encode(text).join() !== ids.join()) found.fail(`${name}: other token ids`);
    found.compare(name, await encoder.encodeSentence(text), embedding);
  }
  return found.result();
}

function judge(encoder, golden, tower) {
  const least = golden.min_cosine[encoder.towers[tower].entry.precision];
  const failures = [];
  let worst = Infinity;
  return {
    fail: (sentence) => failures.push(sentence),
    compare(name, vector, expected) {
      const found = cosine(vector, expected);
      // Once not a number, the worst stays so: `Math.min` keeps it.
      worst = Math.min(worst, found);
      if (!(found >= least)) failures.push(`${name}: cosine ${found.toFixed(5)}, at least ${least} expected`);
    },
    result: () => ({
      worst_cosine: Number.isFinite(worst) ? worst : null,
      least_cosine: least,
      passed: failures.length === 0,
      failures,
    }),
  };
}

/** Cosine, not a number for an embedding whose length is not one. */
function cosine(found, expected) {
  const length = Math.sqrt(dot(found, found));
  if (!(Math.abs(length - 1) <= LENGTH_TOLERANCE) || found.length !== expected.length) return NaN;
  return dot(found, expected) / Math.sqrt(dot(expected, expected));
}

function dot(one, other) {
  return one.reduce((sum, value, place) => sum + value * other[place], 0);
}

/** Pixels that need no decoder, RGB `(3, size, size)`; `golden.json` holds the formula. */
export function pattern(size) {
  const pixels = new Uint8Array(3 * size * size);
  for (let channel = 0, place = 0; channel < 3; channel++) {
    for (let row = 0; row < size; row++) {
      for (let column = 0; column < size; column++, place++) {
        pixels[place] = (7 * row + 13 * column + 83 * channel + Math.floor((row * column) / 8)) % 256;
      }
    }
  }
  return pixels;
}

function fieldMeans(pixels, size) {
  const edges = Array.from({ length: GRID + 1 }, (_, place) => Math.floor((place * size) / GRID));
  const mean = (channel, top, bottom, left, right) => {
    let sum = 0;
    for (let row = top; row < bottom; row++) {
      for (let column = left; column < right; column++) sum += pixels[(channel * size + row) * size + column];
    }
    return sum / ((bottom - top) * (right - left));
  };
  const places = Array.from({ length: GRID }, (_, place) => place);
  return places.map((row) =>
    places.map((column) =>
      [0, 1, 2].map((channel) =>
        mean(channel, edges[row], edges[row + 1], edges[column], edges[column + 1]),
      ),
    ),
  );
}

function largestDifference(found, expected) {
  const [one, other] = [found.flat(2), expected.flat(2)];
  return Math.max(...one.map((value, place) => Math.abs(value - other[place])));
}

function fromBase64(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
