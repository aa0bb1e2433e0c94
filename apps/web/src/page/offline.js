/** Make the page work without a network, once it has been loaded. */

import { RUNTIME_VERSION } from "../encode/runtime.js";

const RUNTIME = ["ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"];

/**
 * @param {string[]} addresses What this page has read beside its own files.
 * @returns {Promise<boolean>} Whether everything is kept; false in browsers, or on pages without
 *   https, that keep nothing.
 */
export async function keepForOffline(addresses) {
  if (!("serviceWorker" in navigator)) return false;
  const site = await (await fetch("site.json", { cache: "no-cache" })).json();
  await navigator.serviceWorker.register(`sw.js?version=${site.version}`);
  const { active } = await navigator.serviceWorker.ready;
  const runtime = RUNTIME.map(
    (name) => new URL(`vendor/onnxruntime-web-${RUNTIME_VERSION}/${name}`, document.baseURI).href,
  );
  const channel = new MessageChannel();
  const answer = new Promise((resolve) => (channel.port1.onmessage = ({ data }) => resolve(data)));
  active.postMessage({ addresses: [...runtime, ...addresses] }, [channel.port2]);
  return (await answer).kept;
}
