/** Folders that the user chooses: by handle where the browser can, else as a list of files. */

/**
 * Ask for a folder.
 *
 * @param {HTMLInputElement} input An `<input webkitdirectory>`, for browsers without handles.
 * @param {string} id Lets the browser remember the place.
 * @returns {Promise<{handle?: FileSystemDirectoryHandle, name?: string, files?: object[]} | null>}
 *   None when nothing was chosen.
 */
export async function chooseFolder(input, id) {
  if (!("showDirectoryPicker" in window)) {
    input.value = "";
    input.click();
    return null;
  }
  try {
    return { handle: await window.showDirectoryPicker({ id, mode: "read" }) };
  } catch (error) {
    if (error.name === "AbortError") return null;
    throw error;
  }
}

/** What an `<input webkitdirectory>` holds. */
export function chosenFiles(input) {
  const files = Array.from(input.files, (file) => ({ path: file.webkitRelativePath || file.name, file }));
  return files.length === 0 ? null : { name: files[0].path.split("/")[0], files };
}

/** All files below a handle, with paths that begin with the folder's name. */
export async function filesBelow(handle, prefix = `${handle.name}/`) {
  const files = [];
  for await (const entry of handle.values()) {
    const path = prefix + entry.name;
    if (entry.kind === "directory") files.push(...(await filesBelow(entry, `${path}/`)));
    else files.push({ path, file: await entry.getFile() });
  }
  return files;
}

/** Whether a remembered folder may be read again; asks the user where the browser must. */
export async function mayRead(handle) {
  return (await handle.requestPermission({ mode: "read" })) === "granted";
}
