/** What a browser tells of the machine that it runs on. */

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
