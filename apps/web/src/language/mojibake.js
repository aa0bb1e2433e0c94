/**
 * Text whose UTF-8 was read in a code page, read again as what it was: `cafÃ©` was `café`.
 *
 * Does what the encoding steps of ftfy 6.3 do, since token ids must be those that a model was
 * trained with. Bytes are written as strings whose characters are below U+0100.
 */

import { BAD, CODE_PAGES, UTF8 } from "./garbled.js";
import { windows1252 } from "./windows1252.js";

const LOST = "\x1a";

/** A space stands where a no-break space was the end of a letter. */
const ALTERED = new RegExp(
  "[\xc2\xc3\xc5\xce\xd0\xd9] |[\xe2\xe3] [\x80-\x84\x86-\x9f\xa1-\xbf]" +
    "|[\xe0-\xe3][\x80-\x84\x86-\x9f\xa1-\xbf] |\xf0 [\x80-\xbf][\x80-\xbf]" +
    "|\xf0[\x80-\xbf] [\x80-\xbf]|\xf0[\x80-\xbf][\x80-\xbf] ",
  "g",
);
/** A word of its own keeps its space; some Portuguese words begin with the letter. */
const A_GRAVE = /\xc3 (?! |quele|quela|quilo|s )/g;

/** Sequences of which some bytes were lost. */
const LOSSY = new RegExp(
  "[\xc2-\xdf]\x1a|[\xc2\xc3]\\?" +
    "|\xed[\xa0-\xaf][\x1a?]\xed[\xb0-\xbf][\x1a?\x80-\xbf]" +
    "|\xed[\xa0-\xaf][\x1a?\x80-\xbf]\xed[\xb0-\xbf][\x1a?]" +
    "|[\xe0-\xef][\x1a?][\x1a\x80-\xbf]|[\xe0-\xef][\x1a\x80-\xbf][\x1a?]" +
    "|[\xf0-\xf4][\x1a?][\x1a\x80-\xbf]{2}" +
    "|[\xf0-\xf4][\x1a\x80-\xbf][\x1a?][\x1a\x80-\xbf]" +
    "|[\xf0-\xf4][\x1a\x80-\xbf]{2}[\x1a?]|\x1a",
  "g",
);
const REPLACEMENT = "\xef\xbf\xbd";

/** A letter beyond U+FFFF as two halves of three bytes each. */
const HALVES = /\xed[\xa0-\xaf][\x80-\xbf]\xed[\xb0-\xbf][\x80-\xbf]/g;

const STRICT = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const PAGES = Object.entries(CODE_PAGES).map(([name, upper]) => {
  const bytes = new Map(Array.from(upper, (character, place) => [character, 0x80 + place]));
  bytes.set(upper.at(-1), LOST.charCodeAt(0));
  return { name, bytes };
});

/** Mends until nothing changes any more. */
export function mendMojibake(text) {
  for (let before = null; before !== text; ) {
    before = text;
    text = mendOnce(text);
  }
  return text;
}

/** C1 control characters as what Windows-1252 has in their place. */
export function mendControls(text) {
  return text.replace(/[\x80-\x9f]/g, (control) => windows1252(control.charCodeAt(0)));
}

function mendOnce(text) {
  if (/^[\0-\x7f]*$/.test(text) || !BAD.test(text)) return text;
  for (const page of PAGES) {
    const bytes = encode(text, page);
    const fixed = bytes === null ? null : readAgain(bytes, page.name);
    if (fixed !== null) return fixed;
  }
  const embedded = text.replace(UTF8, (found) =>
    found.length < text.length && BAD.test(found) ? mendMojibake(found) : found,
  );
  return embedded === text ? mendControls(text) : embedded;
}

/** The bytes that a text was in a code page; null where it holds what the page does not. */
function encode(text, { bytes }) {
  let encoded = "";
  for (const character of text) {
    const byte = character < "\x80" && character !== LOST ? character.charCodeAt(0) : bytes.get(character);
    if (byte === undefined) return null;
    encoded += String.fromCharCode(byte);
  }
  return encoded;
}

/** Bytes read as UTF-8, after what was lost on their way is put back; null if they are not. */
function readAgain(bytes, page) {
  let whole = bytes;
  if (page !== "macroman" && whole.search(ALTERED) >= 0) {
    whole = whole.replace(A_GRAVE, "\xc3\xa0 ").replace(ALTERED, (found) => found.replaceAll(" ", "\xa0"));
  }
  if (page.startsWith("sloppy")) whole = whole.replace(LOSSY, REPLACEMENT);
  if (/[\xed\xc0]/.test(whole)) whole = whole.replaceAll("\xc0\x80", "\0").replace(HALVES, joined);
  try {
    return STRICT.decode(Uint8Array.from(whole, (character) => character.charCodeAt(0)));
  } catch {
    return null;
  }
}

function joined(halves) {
  const [, a, b, , c, d] = Array.from(halves, (character) => character.charCodeAt(0));
  const code = ((a & 0x0f) << 16) + ((b & 0x3f) << 10) + ((c & 0x0f) << 6) + (d & 0x3f) + 0x10000;
  return String.fromCharCode(...new TextEncoder().encode(String.fromCodePoint(code)));
}
