// The command that asks the same as the page did, for whoever goes on from here in a shell.

import { pathFor, typeOf } from "./classify.js";
import { element } from "./dom.js";
import { key } from "./key.js";

const COPIED_MS = 1500;

export function curl(model, file) {
  const command = commandFor(model, file);
  const copy = element("button", { type: "button", class: "quiet" }, "Copy");
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(command);
    copy.textContent = "Copied";
    setTimeout(() => (copy.textContent = "Copy"), COPIED_MS);
  });
  return element(
    "div",
    { class: "curl" },
    element("pre", { tabindex: 0, role: "group", "aria-label": "The same by curl" }, element("code", {}, command)),
    navigator.clipboard ? copy : null, // browsers have it on https and on this machine only
  );
}

// The key is a variable: a command that is copied into a chat must not carry it.
function commandFor(model, file) {
  const lines = [
    `curl --data-binary ${quoted(`@${file.name}`)} -H ${quoted(`Content-Type: ${typeOf(file)}`)}`,
    ...(key() ? ['-H "Authorization: Bearer $HANGTAG_API_KEY"'] : []),
    quoted(new URL(pathFor(model), document.baseURI).href),
  ];
  return lines.join(" \\\n    ");
}

function quoted(text) {
  return /^[\w@./:=+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
