/** From a sentence as written to words, as `retrieval/language/cleaning.py` does it. */

import { mend } from "./mending.js";
import { unescape } from "./unescape.js";

export const START = "<start_of_text>";
export const END = "<end_of_text>";

const PLAIN = /^[\t\n\r -%'-~]*$/;
/** What Python's `str.split` splits at. */
const SPACE = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/u;

/** Letters in both cases, spelled out: with the flag `i` properties would match more. */
const anyCase = (text) =>
  text.replace(/[a-z]/g, (letter) => `[${letter}${letter.toUpperCase()}${letter === "s" ? "\u017f" : ""}]`);

const CONTRACTIONS = "'s|'t|'re|'ve|'m|'ll|'d";
const WORD = new RegExp(
  [
    anyCase(`${START}|${END}|${CONTRACTIONS}`),
    "\\p{L}+",
    "\\p{N}",
    // Without regard to case, as Python looks, U+0345 is a letter to one class and none to all.
    "[^\\p{White_Space}\\p{L}\\p{N}\\u0345]+",
  ].join("|"),
  "gu",
);

/** Mend encoding errors, resolve HTML entities, fold white space, lower the case. */
export function clean(sentence, { lowerCase = true } = {}) {
  const mended = PLAIN.test(sentence) ? sentence : unescape(unescape(mend(sentence)));
  const folded = mended.split(SPACE).filter(Boolean).join(" ");
  return lowerCase ? folded.toLowerCase() : folded;
}

/** Words, contractions, single digits, runs of other signs, and the special tokens. */
export function* words(cleaned) {
  for (const [word] of cleaned.matchAll(WORD)) yield word;
}
