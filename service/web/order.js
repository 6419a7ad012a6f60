// Which of many photos are shown, and in what order.

import { byId, element } from "./dom.js";

const STATES = { accept: "Accept", review: "Review", corrected: "Corrected", failed: "No answer" };
const ORDERS = {
  came: () => 0,
  unsure: (one, other) => (one.score ?? -1) - (other.score ?? -1),
  sure: (one, other) => (other.score ?? -1) - (one.score ?? -1),
};

export function onChange(changed) {
  for (const id of ["by-state", "by-label", "order"]) byId(id).addEventListener("change", changed);
}

// The photos that are asked for, in the order that is asked for; the choices get counts of what there is.
export function arranged(photos) {
  offer("by-state", "All", photos.length, Object.entries(STATES).map(([state, word]) => [state, word, countOf(photos, "state", state)]));
  const labels = [...new Set(photos.map(({ label }) => label))].filter((label) => label !== null).sort();
  offer("by-label", "All labels", photos.length, labels.map((label) => [label, label, countOf(photos, "label", label)]));
  const [state, label] = [byId("by-state").value, byId("by-label").value];
  return photos
    .filter((photo) => (!state || photo.state === state) && (!label || photo.label === label))
    .sort(ORDERS[byId("order").value]);
}

function countOf(photos, what, value) {
  return photos.filter((photo) => photo[what] === value).length;
}

function offer(id, all, total, choices) {
  const select = byId(id);
  const { value } = select;
  const shown = choices.filter(([choice, , count]) => count || choice === value);
  select.replaceChildren(
    element("option", { value: "" }, `${all} (${total})`),
    ...shown.map(([choice, word, count]) => element("option", { value: choice }, `${word} (${count})`)),
  );
  select.value = shown.some(([choice]) => choice === value) ? value : "";
}
