/** UTF-8 that some program read as Windows-1252: `cafÃ©` was `café`. */

import { windows1252 } from "./windows1252.js";

const BYTES = new Map();
for (let byte = 0x80; byte < 0x100; byte++) {
  BYTES.set(String.fromCharCode(byte), byte);
  BYTES.set(windows1252(byte), byte);
}

/** First halves of Latin, Greek, Cyrillic and Arabic letters and accents; others hardly occur garbled. */
const FIRST_OF_PAIR = new Set("\xc2\xc3\xc4\xc5\xcb\xce\xcf\xd0\xd1\xd8\xd9");

const UTF8 = new TextDecoder("utf-8", { fatal: true });

/** Undo it where a run of characters is UTF-8 and hardly anything else. */
export function mendMojibake(text) {
  if (!/[\u00c2-\u00f4]/.test(text)) return text;
  const characters = [...text];
  const mended = [];
  for (let place = 0; place < characters.length; ) {
    const run = garbledRun(characters, place);
    mended.push(run === null ? characters[place] : run.text);
    place += run === null ? 1 : run.length;
  }
  const found = mended.join("");
  return found === text ? text : mendMojibake(found);
}

/**
 * Second halves of a pair that stand beside such letters in sound text as well: dots, dashes and
 * closing quotes end a word, some letters follow in one. `Ã` hardly ever ends a word.
 */
const SOUND_AFTER_LETTERS = /^[^\xc2\xc3][\u2026\u2019\u201d\u2013\u2014\u2122\u0160\u0161\u0152\u0153\u017d\u017e\u0178\xa0\xad\xae\xb4\xb7\xbb\u203a]$|^\xc3[\u2026\u2019\u0152\u017d]$/;

/** The UTF-8 sequences that begin at a place, decoded; null where there is none. */
function garbledRun(characters, start) {
  let decoded = "";
  let length = 0;
  for (;;) {
    const sequence = sequenceAt(characters, start + length);
    if (sequence === null) break;
    decoded += sequence.text;
    length += sequence.length;
  }
  const garbled = characters.slice(start, start + length).join("");
  return length === 0 || SOUND_AFTER_LETTERS.test(garbled) ? null : { text: decoded, length };
}

function sequenceAt(characters, place) {
  const first = BYTES.get(characters[place]);
  if (first === undefined || first < 0xc2 || first > 0xf4) return null;
  if (first < 0xe0 && !FIRST_OF_PAIR.has(characters[place])) return null;
  const length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  const bytes = characters.slice(place, place + length).map((one) => BYTES.get(one));
  if (bytes.length < length || bytes.includes(undefined)) return null;
  try {
    return { text: UTF8.decode(Uint8Array.from(bytes)), length };
  } catch {
    return null;
  }
}
