// A photo among many: a small picture that opens the whole answer, its label, its score as a bar, and how it stands.

import { bar, mark, stateOf } from "./bars.js";
import { labelChoice } from "./correction.js";
import { element, replace } from "./dom.js";
import { preview } from "./preview.js";
import { percent } from "./words.js";

export class Tile {
  constructor(photo, { open, corrected }) {
    this.photo = photo;
    this._corrected = corrected;
    this._said = element("div", { class: "tile-said" });
    const canvas = element("canvas", { "aria-hidden": "true", width: 1, height: 1 });
    preview(canvas, photo.file);
    this.place = element(
      "li",
      { class: "tile" },
      element("button", { type: "button", class: "open", "aria-label": `All about ${photo.path}`, onclick: () => open(photo) }, canvas),
      element("p", { class: "file soft small", title: photo.path }, photo.path),
      this._said,
    );
    this.draw();
  }

  draw() {
    replace(this._said, ...this._drawn());
  }

  _drawn() {
    const { photo } = this;
    if (photo.state === "waiting") return [element("p", { class: "soft" }, "…")];
    if (photo.state === "failed") return [stateOf(photo), element("p", { class: "failure small" }, photo.problem.message)];
    const { score, answer } = photo;
    return [
      stateOf(photo),
      labelChoice(photo, this._corrected),
      element(
        "div",
        { class: "row between" },
        element("span", { class: "track", "aria-hidden": "true" }, bar(score), mark(answer.threshold)),
        element("span", { class: "small" }, percent(score)),
      ),
    ];
  }
}
