/** HTML character references, resolved as Python's `html.unescape` and as ftfy do. */

import { ENTITIES } from "./entities.js";
import { windows1252 } from "./windows1252.js";

const REFERENCE = /&(#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[^\t\n\f <&#;]{1,32};?)/g;
const UNAMBIGUOUS = /&#?[0-9A-Za-z]{1,24};/g;

/** Resolve every reference, also those without a semicolon, as a browser would. */
export function unescape(text) {
  return text.includes("&") ? text.replace(REFERENCE, (whole, name) => resolved(name)) : text;
}

/** Resolve only references that end in a semicolon, and names that were put in capitals. */
export function unescapeUnambiguous(text) {
  if (!text.includes("&")) return text;
  return text.replace(UNAMBIGUOUS, (whole) => {
    if (!whole.startsWith("&#")) {
      return ENTITIES.get(whole.slice(1)) ?? capitals().get(whole.slice(1)) ?? whole;
    }
    const found = unescape(whole);
    return found.includes(";") ? whole : found;
  });
}

function resolved(name) {
  if (name.startsWith("#")) return numbered(name);
  if (ENTITIES.has(name)) return ENTITIES.get(name);
  for (let length = name.length - 1; length > 1; length--) {
    const found = ENTITIES.get(name.slice(0, length));
    if (found !== undefined) return found + name.slice(length);
  }
  return `&${name}`;
}

function numbered(name) {
  const digits = name.replace(";", "");
  const code = /^#[xX]/.test(digits) ? parseInt(digits.slice(2), 16) : parseInt(digits.slice(1), 10);
  if (code >= 0x80 && code <= 0x9f) return windows1252(code);
  if (code === 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return "\ufffd";
  return isNoCharacter(code) ? "" : String.fromCodePoint(code);
}

function isNoCharacter(code) {
  const control = code < 0x20 && ![0x9, 0xa, 0xc, 0xd].includes(code);
  return control || code === 0x7f || (code >= 0xfdd0 && code <= 0xfdef) || (code & 0xfffe) === 0xfffe;
}

let inCapitals = null;

/** Names in small letters whose capitals are no name of their own: `&EACUTE;` is `É`. */
function capitals() {
  if (inCapitals === null) {
    inCapitals = new Map();
    for (const [name, character] of ENTITIES) {
      const upper = name.toUpperCase();
      if (name.endsWith(";") && name === name.toLowerCase() && unescape(`&${upper}`) === `&${upper}`) {
        inCapitals.set(upper, character.toUpperCase());
      }
    }
  }
  return inCapitals;
}
