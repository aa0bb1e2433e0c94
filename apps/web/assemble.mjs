/**
 * Put the folder together that a host serves: the page, the runtime, a bundle, sample photos.
 *
 *     node assemble.mjs TARGET [--bundle FOLDER] [--photos FOLDER]
 *
 * Nothing is compiled; every file is a copy. `site.json` lists the page's own files and their
 * version, a hash over all of them, by which a browser knows that there is a newer page.
 */

import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const HERE = dirname(fileURLToPath(import.meta.url));
const ROOT = resolve(HERE, "../..");
const PAGE = ["index.html", "probe.html", "app.css", "icon.svg", "manifest.webmanifest", "src"];
const WORKER = "sw.js";
const RUNTIME = [
  "ort.wasm.min.mjs",
  "ort-wasm-simd-threaded.mjs",
  "ort-wasm-simd-threaded.wasm",
  "ort.webgpu.min.mjs",
  "ort-wasm-simd-threaded.asyncify.mjs",
  "ort-wasm-simd-threaded.asyncify.wasm",
];
const PHOTO = /\.(jpe?g|png|webp|avif|gif|tiff?|bmp)$/i;

function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      bundle: { type: "string", default: join(ROOT, "data/default") },
      photos: { type: "string", default: join(ROOT, "data/photos") },
    },
  });
  const target = resolve(positionals[0] ?? join(ROOT, "build/web"));
  const runtime = runtimeFolder();
  if (existsSync(target) && !existsSync(join(target, "site.json"))) {
    fail(`${target} exists and is no site of leanclip; name a new folder`);
  }
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  for (const name of [...PAGE, WORKER]) cpSync(join(HERE, name), join(target, name), { recursive: true });
  for (const name of RUNTIME) {
    cpSync(join(runtime.folder, name), join(target, "vendor", `onnxruntime-web-${runtime.version}`, name));
  }
  cpSync(values.bundle, join(target, "bundle"), { recursive: true });
  copyPhotos(values.photos, join(target, "photos"));
  writeSite(target);
  console.log(`assembled ${relative(process.cwd(), target) || target}`);
}

function runtimeFolder() {
  const folder = join(HERE, "node_modules/onnxruntime-web");
  if (!existsSync(folder)) fail(`onnxruntime-web is not installed: cd ${HERE} && npm ci`);
  const { version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  return { folder: join(folder, "dist"), version };
}

function copyPhotos(from, to) {
  cpSync(from, to, { recursive: true });
  const photos = readdirSync(from).filter((name) => PHOTO.test(name)).sort();
  const listed = photos.map((name) => ({ name, bytes: statSync(join(from, name)).size }));
  writeFileSync(join(to, "photos.json"), JSON.stringify(listed));
}

function writeSite(target) {
  const shell = PAGE.flatMap((name) => filesBelow(join(target, name))).map((path) =>
    relative(target, path).split("\\").join("/"),
  );
  const hash = createHash("sha256");
  for (const name of [...shell, WORKER]) hash.update(name).update(readFileSync(join(target, name)));
  const { version: leanclip } = JSON.parse(readFileSync(join(HERE, "package.json"), "utf8"));
  const site = { leanclip, version: hash.digest("hex").slice(0, 16), shell };
  writeFileSync(join(target, "site.json"), JSON.stringify(site));
}

function filesBelow(path) {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path).sort().flatMap((name) => filesBelow(join(path, name)));
}

function fail(message) {
  console.error(message);
  process.exit(1);
}

main();
