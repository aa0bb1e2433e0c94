/** Bring the index up to date with a folder; only new and changed photos are decoded. */

import { PhotoError } from "../spec/errors.js";

const THUMBNAIL = 480;

/**
 * @typedef {object} Report
 * @property {number} total Photos that the folder holds.
 * @property {number} added And `kept`, which were indexed before.
 * @property {{path: string, why: string}[]} skipped
 * @property {boolean} stopped Whether it was stopped before the end; the next run goes on.
 */

/**
 * Every photo is stored before the next is looked at, so that whatever ends the run loses one.
 *
 * @param {string} folder The name that keys begin with, after the fingerprint.
 * @param {Listed[]} photos
 * @param {{encoder: Encoder, database: Database, index: VectorIndex}} library
 * @param {(report: Report, done: number) => void} onProgress
 * @param {AbortSignal} signal
 * @returns {Promise<Report>}
 */
export async function indexFolder(folder, photos, library, onProgress, signal) {
  const report = { total: photos.length, added: 0, kept: 0, skipped: [], stopped: false };
  const current = new Set();
  // The next photo is decoded while the tower works on this one.
  let next = prepare(folder, photos[0], library);
  for (let place = 0; place < photos.length; place++) {
    const ready = next;
    next = signal.aborted ? null : prepare(folder, photos[place + 1], library);
    if (signal.aborted) return { ...report, stopped: true };
    const prepared = await ready;
    if (prepared.key !== null) current.add(JSON.stringify(prepared.key));
    await take(photos[place], prepared, library, report);
    onProgress(report, place + 1);
  }
  await removeOthers(folder, current, library);
  return report;
}

async function take(photo, prepared, { encoder, database, index }, report) {
  if (prepared.why !== null) {
    report.skipped.push({ path: photo.path, why: prepared.why });
  } else if (prepared.pixels === null) {
    report.kept++;
  } else {
    const vector = await encoder.encodePixels(prepared.pixels);
    await database.add(prepared.key, vector, prepared.thumbnail);
    index.add(prepared.key, vector);
    report.added++;
  }
}

async function prepare(folder, photo, { encoder, index }) {
  if (photo === undefined) return null;
  const prepared = { key: null, pixels: null, thumbnail: null, why: null };
  try {
    let file = null;
    if (photo.bytes === undefined) file = await photo.open();
    const bytes = file?.size ?? photo.bytes;
    const modified = file?.lastModified ?? photo.modified;
    const key = [encoder.manifest.fingerprint, folder, photo.path, bytes, modified];
    if (index.has(key)) return { ...prepared, key };
    file ??= await photo.open();
    const found = await encoder.pixelsOf(file, photo.path, (open) => open.thumbnail(THUMBNAIL));
    return { ...prepared, key, pixels: found.pixels, thumbnail: found.extra };
  } catch (error) {
    const expected = error instanceof PhotoError || error instanceof DOMException || error instanceof TypeError;
    if (!expected) throw error;
    return { ...prepared, why: error instanceof PhotoError ? error.message : "cannot be opened any more" };
  }
}

/** Photos of this folder that are no longer in it, or were replaced by a changed file. */
async function removeOthers(folder, current, { database, index }) {
  const gone = index.keys.filter(
    (key) => key !== null && key[1] === folder && !current.has(JSON.stringify(key)),
  );
  await database.remove(gone);
  gone.forEach((key) => index.remove(key));
}
