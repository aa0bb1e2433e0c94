/**
 * What ftfy's `fix_text` does to a sentence, since CLIP's cleaning begins with it.
 */

import { mendControls, mendMojibake } from "./mojibake.js";
import { unescapeUnambiguous } from "./unescape.js";

const CONTROL = /[\x00-\x08\x0b\x0e-\x1f\x7f\u206a-\u206f\ufeff\ufff9-\ufffc]/g;
const TERMINAL = /\x1b\[[\p{Nd};]*[a-zA-Z]/gu;
const LONE_SURROGATE = /\p{Surrogate}/gu;
/** Ligatures and digraphs of Latin letters; other scripts may mean theirs. */
const LIGATURE = /[\u0132\u0133\u01c4-\u01cc\u01f1-\u01f3\ufb00-\ufb06]/g;

/** @param {string} sentence */
export function mend(sentence) {
  let unescaping = true;
  // Once a line has had a "<", it and what follows is taken for HTML and left escaped.
  return sentence
    .split(/(?<=\n)/)
    .map((line) => {
      unescaping &&= !line.includes("<");
      return mendLine(line, unescaping);
    })
    .join("");
}

function mendLine(line, unescaping) {
  for (let text = line; ; ) {
    const mended = mendOnce(unescaping ? unescapeUnambiguous(text) : text);
    if (mended === text) return text;
    text = mended;
  }
}

function mendOnce(text) {
  return mendControls(mendMojibake(text))
    .replace(LIGATURE, splitLigature)
    .replace(/\u0149/g, "\u02bcn")
    .replace(/\u3000/g, " ")
    .replace(/[\uff01-\uffef]/g, (wide) => wide.normalize("NFKC"))
    .replace(/[\u201c-\u201f]/g, '"')
    .replace(/[\u02bc\u2018-\u201b]/g, "'")
    .replace(/\r\n|[\r\u2028\u2029\x85]/g, "\n")
    .replace(LONE_SURROGATE, "\ufffd")
    .replace(TERMINAL, "")
    .replace(CONTROL, "")
    .normalize("NFC");
}

function splitLigature(ligature) {
  // Compatibility forms spell them out, but would also turn a long s into a round one.
  return ligature === "\ufb05" ? "\u017ft" : ligature.normalize("NFKC");
}
