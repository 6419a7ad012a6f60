// Makes elements: text stays text, so nothing that a service or a file name says becomes markup.

export function element(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

export function drawing(name, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function fill(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

// Puts other children into a place; who had the focus there on something of a kind, has it on the new one of that kind.
export function replace(place, ...children) {
  const { activeElement: held } = document;
  const kind = place.contains(held) ? held.localName : null;
  place.replaceChildren(...children);
  if (place.contains(held)) held.focus();
  else if (kind) place.querySelector(kind)?.focus();
}

export function byId(id) {
  return document.getElementById(id);
}
