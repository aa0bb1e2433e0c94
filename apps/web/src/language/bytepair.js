/** Byte-pair encoding of one word, as `retrieval/language/bytepair.py` does it. */

const WORD_END = "</w>";

/** Bytes in the order of their ids: those with a printable Latin-1 character first. */
function byteNames() {
  const printable = [];
  for (const [first, last] of [[0x21, 0x7e], [0xa1, 0xac], [0xae, 0xff]]) {
    for (let byte = first; byte <= last; byte++) printable.push(byte);
  }
  const names = new Map(printable.map((byte) => [byte, String.fromCharCode(byte)]));
  for (let byte = 0; byte < 256; byte++) {
    if (!names.has(byte)) names.set(byte, String.fromCharCode(256 + names.size - printable.length));
  }
  return names;
}

const BYTE_NAMES = byteNames();

/** The first 512 entries of every vocabulary: bytes inside a word, bytes that end one. */
export const BYTE_SYMBOLS = [
  ...BYTE_NAMES.values(),
  ...Array.from(BYTE_NAMES.values(), (name) => name + WORD_END),
];

/** The bytes of a word as visible characters, the last one marked as its end. */
export function symbolsOf(word) {
  const symbols = Array.from(new TextEncoder().encode(word), (byte) => BYTE_NAMES.get(byte));
  symbols[symbols.length - 1] += WORD_END;
  return symbols;
}

/**
 * Join neighbours, the pair of lowest rank first, until no known pair is left.
 *
 * All places of one pair are joined, left to right, before the next pair is looked for. Every
 * round joins at least once, so it ends for any word.
 *
 * @param {string[]} symbols From `symbolsOf`.
 * @param {Map<string, number>} ranks Priority of each pair, keyed by both with a space between.
 */
export function merge(symbols, ranks) {
  let pieces = symbols;
  for (;;) {
    let lowest = Infinity;
    for (let place = 0; place + 1 < pieces.length; place++) {
      const rank = ranks.get(`${pieces[place]} ${pieces[place + 1]}`);
      if (rank !== undefined && rank < lowest) lowest = rank;
    }
    if (lowest === Infinity) return pieces;
    const joined = [];
    for (let place = 0; place < pieces.length; place++) {
      const pair = place + 1 < pieces.length && `${pieces[place]} ${pieces[place + 1]}`;
      if (pair && ranks.get(pair) === lowest) joined.push(pieces[place] + pieces[++place]);
      else joined.push(pieces[place]);
    }
    pieces = joined;
  }
}
