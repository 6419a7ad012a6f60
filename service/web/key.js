// The API key, where a service asks for one: typed once, kept as long as this tab, and sent to this service alone.

import { element } from "./dom.js";

const KEPT = "hangtag-key";
const ASCII = { pattern: "\\s*[!-~]+\\s*", title: "letters, digits and signs without accents, and no space" }; // as headers have

let asking = null;

export function key() {
  return sessionStorage.getItem(KEPT);
}

// Resolves to whether there is another key than the one that was refused; who is refused together is asked once.
export async function anotherKey(refused, why) {
  if (key() !== refused) return true;
  asking ??= ask(why).finally(() => (asking = null));
  return asking;
}

function ask(why) {
  const field = element("input", { type: "password", id: "key", autocomplete: "off", required: true, spellcheck: "false", ...ASCII });
  const dialog = element(
    "dialog",
    { "aria-labelledby": "key-title" },
    element(
      "form",
      { method: "dialog" },
      element("h2", { id: "key-title" }, "This service asks for a key"),
      element("p", { class: "soft" }, why),
      element("label", { for: "key" }, "API key"),
      field,
      element("p", { class: "soft small" }, "It stays in this tab, and is forgotten when the tab is closed."),
      element(
        "div",
        { class: "row" },
        element("button", { class: "primary", value: "use" }, "Use this key"),
        element("button", { value: "", formnovalidate: true }, "Cancel"),
      ),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      const isGiven = dialog.returnValue === "use";
      if (isGiven) sessionStorage.setItem(KEPT, field.value.trim());
      dialog.remove();
      resolve(isGiven);
    });
  });
}
