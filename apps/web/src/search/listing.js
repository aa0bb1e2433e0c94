/** Which photos a chosen folder holds. */

import { isPhotoName } from "../vision/decode.js";

/**
 * @typedef {object} Listed A photo that may be read.
 * @property {string} path Relative to the folder.
 * @property {() => Promise<File | Blob>} open
 * @property {number} [bytes] And `modified`: where they are known without opening it.
 */

/** Photos below a folder's handle, by path; hidden files and folders are left out. */
export async function listHandle(handle, prefix = "") {
  const found = [];
  for await (const entry of handle.values()) {
    if (entry.name.startsWith(".")) continue;
    const path = prefix + entry.name;
    if (entry.kind === "directory") found.push(...(await listHandle(entry, `${path}/`)));
    else if (isPhotoName(entry.name)) found.push({ path, open: () => entry.getFile() });
  }
  return prefix === "" ? byPath(found) : found;
}

/** Photos among the files of an `<input webkitdirectory>`. */
export function listFiles(files) {
  const photos = files.map(({ path, file }) => ({ path: path.slice(path.indexOf("/") + 1), file }));
  return byPath(
    photos
      .filter(({ path }) => isPhotoName(path) && !/(^|\/)\./.test(path))
      .map(({ path, file }) => ({ path, open: async () => file })),
  );
}

/** Photos that lie on this site: `photos.json` beside them lists `{name, bytes}`. */
export async function listSite(folder) {
  const answer = await fetch(new URL("photos.json", folder));
  if (!answer.ok) throw new Error(`there are no sample photos on this site (${answer.status})`);
  const listed = await answer.json();
  return byPath(
    listed.map(({ name, bytes }) => ({
      path: name,
      bytes,
      modified: 0,
      open: async () => (await fetch(new URL(encodeURIComponent(name), folder))).blob(),
    })),
  );
}

function byPath(photos) {
  return photos.sort((one, other) => (one.path < other.path ? -1 : 1));
}
