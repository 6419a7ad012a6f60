// How good a model is, by the photos that it was tested with.

export function tested({ figures }) {
  return figures.test ?? Object.values(figures)[0];
}
