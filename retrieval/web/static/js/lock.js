/** The token that lets a browser in, where one protects the server. */

import { ask } from "./api.js";
import { element } from "./dom.js";

/**
 * Show the token that the address carries, then forget it: it must not stay in the history.
 *
 * @returns {Promise<void>} Once the libraries may be seen; a locked page asks for the token.
 */
export async function unlocked() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token !== null) {
    history.replaceState(history.state, "", location.pathname + location.search);
    if (await opens(token)) return;
  } else if ((await ask("/api/session")).is_open) return;
  await askForToken(token !== null);
}

async function opens(token) {
  try {
    await ask("/api/session", { method: "POST", headers: { Authorization: `Bearer ${token}` } });
    return true;
  } catch (error) {
    if (error.status === 401) return false;
    throw error;
  }
}

function askForToken(wasWrong) {
  const form = element("lock");
  const wrong = form.querySelector(".wrong");
  const complain = () => (wrong.textContent = "That is not the token.");
  form.hidden = false;
  document.body.classList.add("locked");
  if (wasWrong) complain();
  element("token").focus();
  return new Promise((resolve, reject) => {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      wrong.textContent = "";
      try {
        if (!(await opens(element("token").value.trim()))) return complain();
        form.hidden = true;
        document.body.classList.remove("locked");
        resolve();
      } catch (error) {
        reject(error);
      }
    });
  });
}
