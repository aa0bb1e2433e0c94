/** ONNX Runtime in the browser: WebAssembly everywhere, WebGPU where there is one. */

export const RUNTIME_VERSION = "1.30.0";

const FOLDER = new URL(`../../vendor/onnxruntime-web-${RUNTIME_VERSION}/`, import.meta.url).href;
const MOST_THREADS = 4;

/**
 * Load the runtime of a back end, once; files come from this site.
 *
 * @param {"wasm" | "webgpu"} backend
 * @param {number | null} threads None lets the page choose. More than one needs a page that is
 *   cross-origin isolated.
 */
export async function loadRuntime(backend, threads) {
  const ort = await import(`${FOLDER}ort.${backend}.min.mjs`);
  ort.env.wasm.wasmPaths = FOLDER;
  ort.env.wasm.numThreads = threadsFor(threads);
  ort.env.logLevel = "error";
  return ort;
}

/** How many threads a session gets. */
export function threadsFor(asked) {
  if (!globalThis.crossOriginIsolated) return 1;
  return asked ?? Math.max(1, Math.min(MOST_THREADS, Math.ceil((navigator.hardwareConcurrency ?? 1) / 2)));
}

/** Whether this browser has a WebGPU that answers. */
export async function hasWebGpu() {
  try {
    return Boolean(await navigator.gpu?.requestAdapter());
  } catch {
    return false;
  }
}
