/** Milliseconds of many calls, and the figures that stand for them, as in `export/probe`. */

export const WARM_UPS = 10;
export const LEAST_RUNS = 50;

const SLICE_SECONDS = 15;
const TRIMMED = 0.1;

/** Four digits after the point. */
function rounded(value) {
  return Math.round(value * 1e4) / 1e4;
}

/** The value at rank `part * (runs - 1)`, interpolated linearly between its neighbours. */
function percentile(milliseconds, part) {
  const sorted = milliseconds.toSorted((one, other) => one - other);
  const rank = part * (sorted.length - 1);
  const below = Math.floor(rank);
  const above = Math.min(below + 1, sorted.length - 1);
  return rounded(sorted[below] + (sorted[above] - sorted[below]) * (rank - below));
}

/** Mean without the fastest and the slowest tenth of the runs, each rounded down. */
function trimmedMean(milliseconds) {
  const cut = Math.floor(milliseconds.length * TRIMMED);
  const kept = milliseconds.toSorted((one, other) => one - other).slice(cut, milliseconds.length - cut);
  return rounded(kept.reduce((sum, value) => sum + value, 0) / kept.length);
}

/** `timing` of a probe's result. */
export function timingOf(milliseconds, { coldLoad, warmLoad, first }) {
  const kept = milliseconds.map(rounded);
  return {
    cold_load_ms: rounded(coldLoad),
    warm_load_ms: rounded(warmLoad),
    first_inference_ms: rounded(first),
    p50_ms: percentile(kept, 0.5),
    p90_ms: percentile(kept, 0.9),
    p99_ms: percentile(kept, 0.99),
    trimmed_mean_ms: trimmedMean(kept),
    runs: kept.length,
    warm_ups: WARM_UPS,
    milliseconds: kept,
  };
}

/**
 * `sustained` of a probe's result.
 *
 * @param {[number, number][]} calls When each began, in seconds since the first, and the
 *   milliseconds that it took.
 */
export function sustainedOf(calls) {
  const bySlice = Map.groupBy(calls, ([start]) => Math.floor(start / SLICE_SECONDS));
  const slices = Array.from(bySlice, ([place, found]) => ({
    start_s: place * SLICE_SECONDS,
    p50_ms: percentile(found.map(([, milliseconds]) => milliseconds), 0.5),
    runs: found.length,
  }));
  const [start, milliseconds] = calls.at(-1);
  // A clock too coarse for a tiny tower must not divide by zero.
  const [first, last] = [slices[0], slices.at(-1)].map((slice) => Math.max(slice.p50_ms, 1e-4));
  return {
    seconds: Math.round(start * 1e3 + milliseconds) / 1e3,
    slices,
    slow_down: rounded(last / first),
  };
}
