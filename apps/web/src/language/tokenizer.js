/** From sentences to the token ids that a text tower takes. */

import { checkedBytes } from "../spec/bundle.js";
import { BundleError } from "../spec/errors.js";
import { BYTE_SYMBOLS, merge, symbolsOf } from "./bytepair.js";
import { END, START, clean, words } from "./cleaning.js";

const MERGES_FILE = /^(?:\S+ \S+\n)*$/;
const CACHED_WORDS = 10_000;

export class Tokenizer {
  /**
   * @param {string} merges Text of the merges file: `left right` on each line.
   * @param {object} spec `text` of the manifest.
   */
  constructor(merges, spec) {
    const lines = merges.split("\n").slice(0, -1);
    const pieces = [...BYTE_SYMBOLS, ...lines.map((line) => line.replace(" ", ""))];
    this.spec = spec;
    this.ranks = new Map(lines.map((line, rank) => [line, rank]));
    this.ids = new Map(pieces.map((piece, id) => [piece, id]));
    this.words = new Map();
  }

  /**
   * The tokenizer of a bundle.
   *
   * @throws {BundleError} The merges file is missing, damaged, malformed or does not fit.
   */
  static async open(source, spec) {
    const bytes = await checkedBytes(source, spec.vocabulary_file, spec.vocabulary_sha256);
    const merges = new TextDecoder().decode(bytes);
    const place = source.name(spec.vocabulary_file);
    if (!MERGES_FILE.test(merges)) {
      throw new BundleError(`${place} is not a merges file: each line must hold two symbols`);
    }
    const size = BYTE_SYMBOLS.length + merges.split("\n").length + 1;
    if (spec.vocabulary_size !== size || spec.start_id !== size - 2 || spec.end_id !== size - 1) {
      throw new BundleError(`${place} makes ${size} tokens, which is not what bundle.json says`);
    }
    return new Tokenizer(merges, spec);
  }

  /** Ids of one sentence, `(context_length,)`; one that is too long is cut before its end id. */
  encode(sentence) {
    const { context_length: length, start_id: start, end_id: end, pad_id: pad } = this.spec;
    const inner = this.inner(sentence, length - 2);
    const ids = new Int32Array(length).fill(pad);
    ids[0] = start;
    ids.set(inner, 1);
    ids[inner.length + 1] = end;
    return ids;
  }

  inner(sentence, limit) {
    const ids = [];
    for (const word of words(clean(sentence, { lowerCase: this.spec.lower_case }))) {
      ids.push(...this.wordIds(word).slice(0, limit));
      if (ids.length >= limit) break;
    }
    return ids.slice(0, limit);
  }

  wordIds(word) {
    if (word === START) return [this.spec.start_id];
    if (word === END) return [this.spec.end_id];
    let found = this.words.get(word);
    if (found === undefined) {
      found = merge(symbolsOf(word), this.ranks).map((piece) => this.ids.get(piece));
      if (this.words.size >= CACHED_WORDS) this.words.clear();
      this.words.set(word, found);
    }
    return found;
  }
}
