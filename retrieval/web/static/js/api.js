/** Calls to the server, and what is wrong when they fail. */

/** What a status means to a person, where the server's own line would not. */
const MEANINGS = {
  413: "That photo is too large to search with",
  422: "That cannot be searched for",
};

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/**
 * Ask the server.
 *
 * @param {string} path
 * @param {{method?: string, params?: object, body?: any, signal?: AbortSignal, headers?: object}} options
 *   Parameters without a value are left out; a `Blob` is sent as it is, anything else as JSON.
 * @returns {Promise<any>}
 */
export async function ask(path, { method = "GET", params = {}, body, signal, headers = {} } = {}) {
  const given = Object.entries(params).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const query = given.length > 0 ? `?${new URLSearchParams(given)}` : "";
  const isFile = body instanceof Blob;
  if (body !== undefined) headers["Content-Type"] = isFile ? "application/octet-stream" : "application/json";
  let response;
  try {
    response = await fetch(path + query, { method, signal, headers, body: isFile || body === undefined ? body : JSON.stringify(body) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "leanclip serve does not answer: is it still running?");
  }
  if (!response.ok) throw new ApiError(response.status, await reason(response));
  return response.json();
}

/** The calls to one library. */
export class Library {
  constructor(name) {
    this.name = name;
    this.root = `/api/libraries/${encodeURIComponent(name)}`;
  }

  ask(path, options) {
    return ask(this.root + path, options);
  }

  /** Of a video, the picture of the moment that was found. */
  thumbnail({ id, version, moment_ms }, size) {
    const moment = moment_ms === null ? "" : `&moment=${moment_ms}`;
    return `${this.root}/photos/${id}/thumbnails/${size}?v=${version}${moment}`;
  }

  file({ id }) {
    return `${this.root}/photos/${id}/file`;
  }
}

async function reason(response) {
  if (response.status in MEANINGS) return MEANINGS[response.status];
  try {
    const { detail } = await response.json();
    if (typeof detail === "string") return detail;
  } catch {
    // A proxy in between may answer with a page.
  }
  return `the server answered ${response.status}`;
}
