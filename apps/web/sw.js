/**
 * Keeps the page for when there is no network, and asks for cross-origin isolation.
 *
 * The page registers it as `sw.js?version=...`: another version is another worker with a cache of
 * its own. Addresses that name their content (the runtime's folder carries its version, a bundle's
 * files their SHA-256) are answered from the cache; all else from the network while there is one,
 * so that nobody works with an old page.
 */

const VERSION = new URL(location).searchParams.get("version") ?? "0";
const SHELL = `leanclip-shell-${VERSION}`;
const CONTENT = "leanclip-content-1";
const SCOPE = new URL("./", location);

self.addEventListener("install", (event) => {
  event.waitUntil(
    (async () => {
      const { shell } = await (await fetch("site.json", { cache: "no-cache" })).json();
      const cache = await caches.open(SHELL);
      await cache.addAll(["./", "site.json", ...shell].map((path) => new Request(path, { cache: "no-cache" })));
      await self.skipWaiting();
    })(),
  );
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    (async () => {
      const old = (await caches.keys()).filter(
        (name) => name.startsWith("leanclip-") && name !== SHELL && name !== CONTENT,
      );
      await Promise.all(old.map((name) => caches.delete(name)));
      await self.clients.claim();
    })(),
  );
});

self.addEventListener("fetch", (event) => {
  const address = new URL(event.request.url);
  if (event.request.method !== "GET" || !address.href.startsWith(SCOPE.href)) return;
  event.respondWith(answer(event.request, address).then(isolated));
});

/** The page says what it has loaded before this worker was there; answered when it is kept. */
self.addEventListener("message", (event) => {
  event.waitUntil(
    keep(event.data.addresses).then(
      () => event.ports[0].postMessage({ kept: true }),
      (error) => event.ports[0].postMessage({ kept: false, why: error.message }),
    ),
  );
});

async function answer(request, address) {
  if (namesItsContent(address)) {
    return (await caches.match(address.href)) ?? fetchAndKeep(request, CONTENT);
  }
  try {
    return await fetchAndKeep(request, SHELL);
  } catch (error) {
    const found = await caches.match(request, { ignoreSearch: request.mode === "navigate", ignoreVary: true });
    if (found === undefined) throw error;
    return found;
  }
}

function namesItsContent({ pathname, searchParams }) {
  return searchParams.has("sha256") || pathname.startsWith(`${SCOPE.pathname}vendor/`);
}

async function fetchAndKeep(request, name) {
  const found = await fetch(request);
  if (found.ok && request.mode !== "navigate") await put(request.url, found.clone(), name);
  return found;
}

async function keep(addresses) {
  for (const href of addresses) {
    const name = namesItsContent(new URL(href)) ? CONTENT : SHELL;
    if (await (await caches.open(name)).match(href)) continue;
    const found = await fetch(href);
    if (!found.ok) throw new Error(`${href} is missing`);
    await put(href, found, name);
  }
}

/** Keep an answer; an earlier one of the same file goes. */
async function put(href, found, name) {
  const cache = await caches.open(name);
  const { pathname } = new URL(href);
  const earlier = (await cache.keys()).filter(
    ({ url }) => new URL(url).pathname === pathname && url !== href,
  );
  await Promise.all(earlier.map((request) => cache.delete(request)));
  await cache.put(href, found);
}

/** With these headers WebAssembly gets threads, also where the host sends none. */
function isolated(found) {
  if (found.type === "opaque" || found.status === 0 || found.status === 304) return found;
  const headers = new Headers(found.headers);
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  headers.set("Cross-Origin-Resource-Policy", "same-origin");
  const { status, statusText } = found;
  return new Response([101, 204, 205].includes(status) ? null : found.body, { status, statusText, headers });
}
