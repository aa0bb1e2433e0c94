/** What a browser tells of the machine that it runs on. */

/**
 * Bytes that the workers of this page hold; null where the browser does not tell.
 *
 * WebAssembly memory never shrinks, so after the calls this is close to the most that they held.
 * The answer comes with the next garbage collection, which may take ten seconds.
 */
export async function workerMemory() {
  if (!globalThis.crossOriginIsolated || !performance.measureUserAgentSpecificMemory) return null;
  try {
    const { breakdown } = await performance.measureUserAgentSpecificMemory();
    const held = breakdown.filter(({ attribution }) =>
      attribution.some(({ scope }) => scope === "DedicatedWorkerGlobalScope"),
    );
    return held.reduce((sum, { bytes }) => sum + bytes, 0) || null;
  } catch {
    return null;
  }
}

/** `device` and `system` of a probe's result. */
export async function describeDevice() {
  const told = navigator.userAgentData;
  const more = (await told?.getHighEntropyValues?.(["architecture", "bitness", "model", "platformVersion"])) ?? {};
  const processors = `${navigator.hardwareConcurrency ?? "unknown number of"} logical processors`;
  const architecture = [more.architecture, more.bitness && `${more.bitness} bit`].filter(Boolean).join(" ");
  // One of the brands is made up, so that nobody relies on the list; the rest begin with Chromium.
  const brands = told?.brands.filter(({ brand: name }) => !/^not.?a.?brand$/i.test(name.trim())) ?? [];
  const brand = brands.find(({ brand: name }) => name !== "Chromium") ?? brands[0];
  return {
    device: {
      kind: "browser",
      maker: null,
      model: [more.model, architecture, processors].filter(Boolean).join(", "),
    },
    system: {
      name: told?.platform || navigator.platform || "unknown",
      version: more.platformVersion ?? "",
      browser: brand ? `${brand.brand} ${brand.version}` : navigator.userAgent,
    },
  };
}
