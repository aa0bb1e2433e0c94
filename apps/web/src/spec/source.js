/** Where a bundle's files come from: a folder on this site, or one that the user chose. */

import { BundleError } from "./errors.js";

/** Files below an address of this site. */
export class UrlSource {
  /**
   * @param {string} address The bundle's folder or its `bundle.json`, relative to `base`.
   * @param {string} base The page's address.
   * @throws {BundleError} The address leads to another site.
   */
  constructor(address, base) {
    const folder = address.replace(/bundle\.json$/, "").replace(/\/*$/, "/");
    const found = URL.canParse(folder, base) ? new URL(folder, base) : null;
    if (found === null || found.origin !== new URL(base).origin) {
      throw new BundleError(`${address} is not on this site: a bundle must lie beside the page`);
    }
    this.folder = found;
    /** Every address that was read, for the page to keep for when there is no network. */
    this.addresses = [];
  }

  /**
   * @param {string} path Relative to the bundle.
   * @param {string} [sha256] Becomes part of the address, so that a cache never answers with
   *   an earlier version of the file.
   * @returns {Promise<ArrayBuffer>}
   * @throws {BundleError} There is no such file, or the site does not answer.
   */
  async read(path, sha256) {
    const address = new URL(path, this.folder);
    if (sha256 !== undefined) address.searchParams.set("sha256", sha256);
    let answer;
    try {
      answer = await fetch(address, sha256 === undefined ? { cache: "no-cache" } : {});
    } catch {
      throw new BundleError(`${this.name(path)} cannot be fetched: the site does not answer`);
    }
    if (!answer.ok) {
      throw new BundleError(
        `${this.name(path)} is missing (${answer.status}); export or copy the bundle again`,
      );
    }
    this.addresses.push(address.href);
    return answer.arrayBuffer();
  }

  /** A file's name in messages. */
  name(path) {
    return decodeURIComponent(new URL(path, this.folder).pathname.slice(1));
  }
}

/** Files of a folder that the user chose. */
export class FolderSource {
  /** @param {{path: string, file: File}[]} files Paths begin with the folder's own name. */
  constructor(files) {
    const manifest = files
      .filter(({ path }) => path.split("/").at(-1) === "bundle.json")
      .sort((one, other) => one.path.length - other.path.length)[0];
    if (manifest === undefined) {
      throw new BundleError("the folder is not a bundle: there is no bundle.json in it");
    }
    this.addresses = [];
    this.prefix = manifest.path.slice(0, -"bundle.json".length);
    this.files = new Map(files.map(({ path, file }) => [path, file]));
  }

  /** As `UrlSource.read`. */
  async read(path) {
    const file = this.files.get(this.prefix + path);
    if (file === undefined) {
      throw new BundleError(`${this.name(path)} is missing; export or copy the bundle again`);
    }
    try {
      return await file.arrayBuffer();
    } catch {
      throw new BundleError(`${this.name(path)} cannot be read; choose the folder again`);
    }
  }

  name(path) {
    return this.prefix + path;
  }
}
