/**
 * The probe page. `window.leanclipProbe` is a promise of the result, in the form that
 * `apps/probe-result.schema.json` describes.
 *
 * The address may say: `bundle`, `backend` (wasm or webgpu), `threads`, `runs`, and `sustained`,
 * the seconds of a run without a pause.
 */

import { asSentence } from "../page/sentence.js";
import { describeDevice, workerMemory } from "./device.js";
import { LEAST_RUNS } from "./figures.js";

const SUSTAINED_SECONDS = 180;
const TOWERS = ["image", "text"];
const FIGURES = [
  ["Cold load", "cold_load_ms"],
  ["Warm load", "warm_load_ms"],
  ["First call", "first_inference_ms"],
  ["Median (p50)", "p50_ms"],
  ["p90", "p90_ms"],
  ["p99", "p99_ms"],
  ["Trimmed mean", "trimmed_mean_ms"],
];
const element = (id) => document.getElementById(id);

function settings() {
  const asked = new URLSearchParams(location.search);
  const threads = Number.parseInt(asked.get("threads"), 10);
  return {
    address: asked.get("bundle") ?? "bundle/",
    page: document.baseURI,
    backend: asked.get("backend") === "webgpu" ? "webgpu" : "wasm",
    threads: threads > 0 ? threads : null,
    runs: Math.max(LEAST_RUNS, Number.parseInt(asked.get("runs"), 10) || 0),
    sustainedSeconds: Math.max(0, Number.parseFloat(asked.get("sustained")) || 0),
  };
}

/** Measure one tower in a worker of its own. */
function measureTower(tower, options, onShare) {
  const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => {
      if (data.share !== undefined) onShare(data.share);
      else if (data.error) reject(new Error(data.error));
      else resolve(data.result);
    };
    worker.onerror = (event) => reject(new Error(`the ${tower} tower stopped: ${event.message}`));
    worker.postMessage({ ...options, tower });
  })
    .then(withMemory)
    .finally(() => worker.terminate());
}

/**
 * What a worker measured, with its memory while it still holds the tower.
 *
 * Not with several threads, since those that wait for work never answer, nor with WebGPU, whose
 * memory is elsewhere.
 */
async function withMemory({ bundle, file }) {
  const told = file.timing !== null && file.threads === 1;
  return { bundle, file: { ...file, peak_memory_bytes: told ? await workerMemory() : null } };
}

async function probe() {
  const options = settings();
  const { leanclip } = await (await fetch("site.json")).json();
  const measured = [];
  for (const [place, tower] of TOWERS.entries()) {
    element("status").textContent = `Measuring the ${tower} tower…`;
    const onShare = (share) => (element("bar").value = (place + share) / TOWERS.length);
    measured.push(await measureTower(tower, options, onShare));
  }
  return {
    schema_version: 1,
    leanclip,
    timestamp: new Date().toISOString(),
    ...(await describeDevice()),
    bundle: measured[0].bundle,
    files: measured.map(({ file }) => file),
  };
}

function show(result) {
  const failed = result.files.filter((file) => file.timing === null);
  element("bar").hidden = true;
  element("status").textContent =
    failed.length === 0 ? "Measured; both towers passed their golden check." : failed.map(({ reason }) => reason).join(" ");
  fillTable(document.querySelector(".table"), result);
  element("download").disabled = false;
  element("download").addEventListener("click", () => download(result));
}

function fillTable(region, { bundle, files, device, system }) {
  const { backend } = settings();
  region.hidden = false;
  const threads = files[0].threads === 1 ? "1 thread" : `${files[0].threads} threads`;
  region.querySelector("caption").textContent =
    `${bundle.name}, batch 1, ${backend === "webgpu" ? "WebGPU" : threads}, ${system.browser} on ${system.name}, ${device.model}`;
  region.querySelector("thead tr").append(...files.map(({ tower, precision }) => cell("th", `${tower}, ${precision}`, "col")));
  const rows = FIGURES.map(([title, name]) => [title, ...files.map(({ timing }) => timing?.[name].toFixed(2) ?? "–")]);
  if (files.some(({ peak_memory_bytes: bytes }) => bytes)) {
    rows.push(["Memory, MB", ...files.map(({ peak_memory_bytes: bytes }) => (bytes ? (bytes / 1e6).toFixed(1) : "–"))]);
  }
  rows.push(["Worst golden cosine", ...files.map(({ golden }) => golden.worst_cosine?.toFixed(5) ?? "none")]);
  if (files.some(({ sustained }) => sustained)) {
    rows.push(["Slower at the end of the long run", ...files.map(({ sustained }) => `${sustained?.slow_down ?? "–"} x`)]);
  }
  region.querySelector("tbody").replaceChildren(
    ...rows.map(([title, ...values]) => {
      const row = document.createElement("tr");
      row.append(cell("th", title, "row"), ...values.map((value) => cell("td", value)));
      return row;
    }),
  );
}

function cell(kind, text, scope = null) {
  const made = document.createElement(kind);
  made.textContent = text;
  if (scope !== null) made.scope = scope;
  return made;
}

function download(result) {
  const link = document.createElement("a");
  const address = URL.createObjectURL(new Blob([JSON.stringify(result, null, 2)], { type: "application/json" }));
  link.href = address;
  link.download = `probe-browser-${result.timestamp.slice(0, 10)}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address));
}

element("again").addEventListener("click", () => location.reload());
element("sustained").addEventListener("click", () => {
  const address = new URL(location);
  address.searchParams.set("sustained", SUSTAINED_SECONDS);
  location.assign(address);
});

window.leanclipProbe = probe();
window.leanclipProbe.then(show, (error) => {
  element("bar").hidden = true;
  element("status").textContent = "Not measured.";
  element("problem").textContent = asSentence(error.message);
  element("problem").hidden = false;
});
