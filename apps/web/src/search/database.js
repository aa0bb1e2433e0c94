/** Vectors and thumbnails in IndexedDB, kept apart by the embedding space they belong to. */

const NAME = "leanclip";
const VERSION = 1;

/**
 * A photo's key: `[fingerprint, folder, path, bytes, modified]`. The fingerprint comes first, so
 * that vectors of two models never meet; a changed file has another key.
 *
 * @typedef {[string, string, string, number, number]} Key
 */

/** Open the database, making it when there is none. */
export async function openDatabase() {
  const request = indexedDB.open(NAME, VERSION);
  request.onupgradeneeded = () => {
    request.result.createObjectStore("vectors");
    request.result.createObjectStore("thumbnails");
    request.result.createObjectStore("folders");
  };
  return new Database(await done(request));
}

class Database {
  constructor(connection) {
    this.connection = connection;
    // A newer page in another tab must be able to upgrade.
    connection.onversionchange = () => connection.close();
  }

  /** Everything that is indexed in one space, in the order of its keys. */
  async vectors(fingerprint) {
    const store = this.connection.transaction("vectors").objectStore("vectors");
    const range = IDBKeyRange.bound([fingerprint], [fingerprint, []]);
    const [keys, vectors] = await Promise.all([done(store.getAllKeys(range)), done(store.getAll(range))]);
    return keys.map((key, place) => ({ key, vector: vectors[place] }));
  }

  /** Add a photo whole: its vector and its thumbnail, or neither. */
  async add(key, vector, thumbnail) {
    const transaction = this.connection.transaction(["vectors", "thumbnails"], "readwrite");
    transaction.objectStore("vectors").put(vector, key);
    transaction.objectStore("thumbnails").put(thumbnail, key);
    await finished(transaction);
  }

  async remove(keys) {
    const transaction = this.connection.transaction(["vectors", "thumbnails"], "readwrite");
    for (const key of keys) {
      transaction.objectStore("vectors").delete(key);
      transaction.objectStore("thumbnails").delete(key);
    }
    await finished(transaction);
  }

  /** Thumbnails by key, undefined where there is none. */
  async thumbnails(keys) {
    const store = this.connection.transaction("thumbnails").objectStore("thumbnails");
    return Promise.all(keys.map((key) => done(store.get(key))));
  }

  /** Folders that were indexed, with the handle that opens them again where there is one. */
  async folders() {
    const store = this.connection.transaction("folders").objectStore("folders");
    const [names, folders] = await Promise.all([done(store.getAllKeys()), done(store.getAll())]);
    return new Map(names.map((name, place) => [name, folders[place]]));
  }

  async rememberFolder(name, folder) {
    const transaction = this.connection.transaction("folders", "readwrite");
    transaction.objectStore("folders").put(folder, name);
    await finished(transaction);
  }

  async forgetFolder(name) {
    const transaction = this.connection.transaction("folders", "readwrite");
    transaction.objectStore("folders").delete(name);
    await finished(transaction);
  }
}

function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function finished(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onerror = transaction.onabort = () => reject(transaction.error);
  });
}
