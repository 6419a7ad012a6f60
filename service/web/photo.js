// One photo that came in, and what is known of it: nothing yet, an answer, or a problem; and what a person says it is.

export class Photo {
  constructor(file, path) {
    this.file = file;
    this.path = path || file.webkitRelativePath || file.name;
    this.url = URL.createObjectURL(file);
    this.correction = null;
    this.saved = null; // the correction that was downloaded
    this.ask(null);
  }

  // A model is asked: what another one said counts no more, but what the person said does, where there is such a label.
  ask(model) {
    this.model = model;
    this.answer = null;
    this.problem = null;
    this.why = null;
    this.seconds = null; // from asking to having the answer
    if (this.losesBy(model)) this.correction = null;
  }

  // Whether the person's correction is none that this model could learn; of one that is not ready nothing is known.
  losesBy(model) {
    return this.correction !== null && Boolean(model.card) && !model.card.labels.includes(this.correction);
  }

  get label() {
    return this.correction ?? this.answer?.predictions[0].label ?? null;
  }

  get score() {
    return this.answer?.predictions[0].score ?? null;
  }

  // How it stands: waiting, failed, accept, review, or corrected by the person.
  get state() {
    if (this.problem) return "failed";
    if (!this.answer) return "waiting";
    return this.correction ? "corrected" : this.answer.decision;
  }

  correct(label) {
    this.correction = label === this.answer.predictions[0].label ? null : label;
  }

  get isUnsaved() {
    return this.correction !== null && this.correction !== this.saved;
  }

  forget() {
    URL.revokeObjectURL(this.url);
  }
}
