/** Errors that are expected: `message` is one sentence fit for the page. */

/** A bundle is missing, damaged, tampered with, or asks for more than this page can do. */
export class BundleError extends Error {
  name = "BundleError";
}

/** A file is not a photo, or is one that this browser cannot decode. */
export class PhotoError extends Error {
  name = "PhotoError";
}
