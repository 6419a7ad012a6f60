// The page of a review. It is opened from disk, where a page may load pictures and scripts beside it and nothing else: so
// about.js calls `begin`, and rows/<page>.js calls `take` with the photos of a page when that is wanted.
"use strict";

const review = (() => {
  const element = (id) => document.getElementById(id);
  const list = document.querySelector(".photos");
  const count = (number, one) => `${number.toLocaleString("en")} ${one}${number === 1 ? "" : "s"}`;
  const LEFT_OUT = null;
  const MOST_CHOICES = 9; // as many as there are keys for them; all other labels can be written

  let about;
  let shown; // the page that is in sight
  let photos = []; // those of that page
  const loads = new Map(); // page -> the promise of its photos
  const takers = new Map(); // page -> what keeps that promise
  const decisions = new Map(); // page -> a map from a photo's place on it to its label, or to LEFT_OUT
  let isKept = true; // whether the browser keeps decisions when the page is closed

  // Begins with what is known of the review as a whole.
  function begin(told) {
    about = told;
    element("summary").textContent =
      `Of ${count(about.asked, "photo")}, ${about.model} ${about.version} is not sure enough of ${about.photos.toLocaleString("en")}: their ` +
      `scores are under ${about.threshold.toFixed(3)}. The least sure come first.`;
    element("labels").append(...about.labels.map((label) => new Option(label, label)));
    element("page").max = Math.max(1, about.pages);
    showUnread();
    for (let page = 1; page <= about.pages; page++) decisions.set(page, remembered(page));
    addEventListener("hashchange", turn);
    turn();
  }

  // Takes the photos of a page, which its script brings.
  function take(page, brought) {
    takers.get(page)(brought);
  }

  // The photos of a page, loaded when they are asked for first.
  function photosOf(page) {
    if (!loads.has(page)) loads.set(page, new Promise((resolve) => load(page, resolve)));
    return loads.get(page);
  }

  function load(page, resolve) {
    takers.set(page, resolve);
    const script = document.createElement("script");
    script.src = `page/rows/${page}.js`;
    document.head.append(script);
  }

  // What is kept in the browser: one entry a page, so that a decision writes little.

  function key(page) {
    return `hangtag review ${about.job} ${page}`;
  }

  function remembered(page) {
    try {
      return new Map(JSON.parse(localStorage.getItem(key(page))) ?? []);
    } catch {
      isKept = false;
      return new Map();
    }
  }

  function remember(page) {
    try {
      localStorage.setItem(key(page), JSON.stringify([...decisions.get(page)]));
    } catch {
      isKept = false;
    }
  }

  // Turning pages.

  function wanted() {
    const page = Number.parseInt(location.hash.slice(1), 10) || 1;
    return Math.min(Math.max(page, 1), about.pages);
  }

  async function turn() {
    const page = wanted();
    const brought = page ? await photosOf(page) : [];
    if (page !== wanted()) return; // somebody turned on meanwhile
    const isFirst = shown === undefined;
    [shown, photos] = [page, brought];
    element("place").textContent = page ? `Page ${page} of ${about.pages}` : "There is no photo to decide on";
    element("page").value = page;
    link(element("previous"), page - 1);
    link(element("next"), page + 1);
    list.replaceChildren(...photos.map(card));
    progress();
    if (!isFirst) document.querySelector("main").focus();
  }

  function link(anchor, page) {
    const exists = page >= 1 && page <= about.pages;
    anchor.toggleAttribute("href", exists);
    if (exists) anchor.href = `#${page}`;
    anchor.setAttribute("aria-disabled", String(!exists));
  }

  // One photo.

  function card(photo, place) {
    const item = element("card").content.cloneNode(true).firstElementChild;
    item.dataset.place = place;
    item.setAttribute("aria-label", photo.source);
    item.querySelector(".picture").href = photo.path;
    item.querySelector("img").src = photo.picture;
    item.querySelector("img").alt = `${photo.source}, larger`;
    item.querySelector(".source").textContent = photo.source;
    item.querySelector(".source").title = photo.source;
    item.querySelector(".choices").append(...photo.top.slice(0, MOST_CHOICES).map(([label, score]) => choice(label, score)));
    mark(item);
    return item;
  }

  function choice(label, score) {
    const button = document.createElement("button");
    const name = document.createElement("span");
    button.type = "button";
    button.value = label;
    name.className = "label";
    name.textContent = label;
    button.append(name, score.toFixed(2));
    return button;
  }

  function placeOf(item) {
    return Number(item.dataset.place);
  }

  // Shows what was decided on a photo.
  function mark(item) {
    const decided = decisions.get(shown).has(placeOf(item));
    const label = decisions.get(shown).get(placeOf(item));
    const buttons = [...item.querySelectorAll(".choices button")];
    const other = item.querySelector(".other");
    item.classList.toggle("decided", decided);
    for (const button of buttons) button.setAttribute("aria-pressed", String(decided && button.value === label));
    item.querySelector(".out").setAttribute("aria-pressed", String(decided && label === LEFT_OUT));
    const isOther = decided && label !== LEFT_OUT && !buttons.some((button) => button.value === label);
    other.classList.toggle("chosen", isOther);
    other.value = isOther ? label : "";
  }

  // Deciding.

  function decide(item, label) {
    decisions.get(shown).set(placeOf(item), label);
    changed(item);
  }

  function undecide(item) {
    decisions.get(shown).delete(placeOf(item));
    changed(item);
  }

  function changed(item) {
    remember(shown);
    mark(item);
    progress();
  }

  function press(button) {
    const item = button.closest(".photo");
    if (button.getAttribute("aria-pressed") === "true") undecide(item);
    else decide(item, button.className === "out" ? LEFT_OUT : button.value);
  }

  function write(field) {
    const label = field.value.trim();
    if (label) decide(field.closest(".photo"), label);
    else undecide(field.closest(".photo"));
  }

  // The photos of this page that nobody decided on are what the model took them for.
  function acceptRest() {
    for (const item of list.querySelectorAll(".photo:not(.decided)")) {
      decisions.get(shown).set(placeOf(item), photos[placeOf(item)].label);
      mark(item);
    }
    remember(shown);
    progress();
    goOn();
  }

  // Puts the focus on what comes after the last photo.
  function goOn() {
    ["#rest:enabled", "#next[href]", "#save"].map((what) => document.querySelector(what)).find(Boolean).focus();
  }

  function progress() {
    const decided = [...decisions.values()].reduce((sum, page) => sum + page.size, 0);
    element("progress").textContent =
      `${decided.toLocaleString("en")} of ${count(about.photos, "photo")} decided` +
      (isKept ? "" : "; this browser keeps none of it: save the table before you close the page");
    element("save").disabled = !decided;
    element("rest").disabled = !shown || decisions.get(shown).size === photos.length;
  }

  // The keys of a photo; letters and digits in its field are only text.
  function keyed(event) {
    const item = event.target.closest(".photo");
    if (!item || event.target.matches("input") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "ArrowRight") move(item.nextElementSibling);
    else if (event.key === "ArrowLeft") move(item.previousElementSibling);
    else if (event.key === "0") decideAndGoOn(item, LEFT_OUT);
    else if (item.querySelectorAll(".choices button")[event.key - 1]) {
      decideAndGoOn(item, item.querySelectorAll(".choices button")[event.key - 1].value);
    } else return;
    event.preventDefault();
  }

  function decideAndGoOn(item, label) {
    decide(item, label);
    if (item.nextElementSibling) move(item.nextElementSibling);
    else goOn();
  }

  function move(item) {
    if (item) item.querySelector(".choices button").focus();
  }

  // The table of all that was decided, as review.csv has it.

  async function save() {
    const lines = [about.columns];
    for (const [page, decided] of decisions) {
      if (!decided.size) continue;
      for (const [place, photo] of (await photosOf(page)).entries()) {
        const label = decided.get(place);
        if (label) lines.push([photo.path, label, photo.label, photo.score.toFixed(4), harmless(photo.source)]);
      }
    }
    const text = lines.map((cells) => cells.map(quoted).join(",") + "\r\n").join("");
    const anchor = document.createElement("a");
    anchor.href = URL.createObjectURL(new Blob(["\ufeff", text], { type: "text/csv" }));
    anchor.download = "corrected.csv";
    anchor.click();
  }

  function quoted(cell) {
    return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
  }

  // A name that a spreadsheet shows as it is, and does not run.
  function harmless(name) {
    return /^[=+\-@']/.test(name) ? `'${name}` : name;
  }

  function showUnread() {
    if (!about.unread) return;
    const box = element("unread");
    box.hidden = false;
    box.querySelector("summary").textContent = `${count(about.unread, "photo")} cannot be shown`;
    box.querySelector("caption").textContent =
      about.unread > about.named.length ? `The first ${about.named.length}; the output has all.` : "Each with its error";
    for (const cells of about.named) {
      const row = box.querySelector("tbody").insertRow();
      for (const text of cells) row.insertCell().textContent = text;
    }
  }

  list.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) press(button);
  });
  list.addEventListener("change", (event) => write(event.target));
  list.addEventListener("keydown", keyed);
  element("page").addEventListener("change", (event) => (location.hash = event.target.value));
  element("rest").addEventListener("click", acceptRest);
  element("save").addEventListener("click", save);

  return { begin, take };
})();
