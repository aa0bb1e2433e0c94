/** Measures one tower; each has a worker of its own, so that its cold load is one. */

import { Encoder } from "../encode/encoder.js";
import { checkTower, pattern, readGolden } from "../encode/golden.js";
import { loadRuntime, threadsFor } from "../encode/runtime.js";
import { Tower } from "../encode/tower.js";
import { Tokenizer } from "../language/tokenizer.js";
import { checkedBytes, readBundle, towerFile } from "../spec/bundle.js";
import { UrlSource } from "../spec/source.js";
import { WARM_UPS, sustainedOf, timingOf } from "./figures.js";

async function timed(call) {
  const start = performance.now();
  const result = await call();
  return { result, milliseconds: performance.now() - start };
}

async function measure({ address, page, tower: name, backend, threads, runs, sustainedSeconds }) {
  const source = new UrlSource(address, page);
  const manifest = await readBundle(source);
  const golden = await readGolden(source, manifest);
  const entry = towerFile(manifest, name, backend === "webgpu" ? ["fp32", "fp16"] : null);
  const bytes = await checkedBytes(source, entry.file, entry.sha256);
  const tokenizer = await Tokenizer.open(source, manifest.text);
  const load = async () => {
    const ort = await loadRuntime(backend, threads);
    return Tower.create(ort, bytes, entry, { backend, dim: manifest.embedding_dim });
  };

  const cold = await timed(load);
  const encoder = new Encoder(manifest, tokenizer, { [name]: cold.result }, { backend, threads });
  const input = inputOf(encoder, name, golden);
  const first = await timed(() => cold.result.run(...input));
  const check = await checkTower(encoder, golden, name);
  const warm = await timed(load);
  await cold.result.release();

  const result = {
    tower: name,
    format: "onnx",
    precision: entry.precision,
    file: entry.file,
    sha256: entry.sha256,
    runtime: { name: "onnxruntime-web", version: warm.result.ort.env.versions.web },
    delegate: backend,
    threads: backend === "wasm" ? threadsFor(threads) : null,
    golden: check,
    timing: null,
    sustained: null,
    reason: null,
  };
  const about = { bundle: { name: manifest.name, fingerprint: manifest.fingerprint } };
  if (!check.passed) {
    return { ...about, file: { ...result, reason: `the golden check failed: ${check.failures[0]}; export the bundle again` } };
  }
  const loads = { coldLoad: cold.milliseconds, warmLoad: warm.milliseconds, first: first.milliseconds };
  result.timing = timingOf(await repeat(warm.result, input, runs), loads);
  if (sustainedSeconds > 0) result.sustained = await sustain(warm.result, input, sustainedSeconds);
  await warm.result.release();
  return { ...about, file: result };
}

/** What one call takes: pixels or ids that are ready. */
function inputOf(encoder, name, golden) {
  if (name === "text") {
    const ids = encoder.tokenizer.encode(golden.sentences[0].text);
    return [ids, [1, ids.length]];
  }
  const { data, dims } = encoder.imageInput(pattern(encoder.manifest.preprocessing.size));
  return [data, dims];
}

async function repeat(tower, input, runs) {
  for (let run = 0; run < WARM_UPS; run++) await tower.run(...input);
  const found = [];
  for (let run = 0; run < runs; run++) {
    found.push((await timed(() => tower.run(...input))).milliseconds);
    if (run % 10 === 9) postMessage({ share: (run + 1) / runs });
  }
  return found;
}

async function sustain(tower, input, seconds) {
  const calls = [];
  const begin = performance.now();
  for (let start = 0; start < seconds; start = (performance.now() - begin) / 1e3) {
    calls.push([start, (await timed(() => tower.run(...input))).milliseconds]);
    if (calls.length % 50 === 0) postMessage({ share: start / seconds });
  }
  return sustainedOf(calls);
}

addEventListener("message", async ({ data }) => {
  try {
    postMessage({ result: await measure(data) });
  } catch (error) {
    postMessage({ error: error.message });
  }
});
