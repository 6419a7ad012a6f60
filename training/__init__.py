"""From labelled photos to a run folder: Keras model, card, golden samples, figures and pictures. Needs the `train` extra."""
