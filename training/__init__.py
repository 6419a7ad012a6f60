"""From labelled photos to a run folder: Keras model, card, golden samples and figures. Needs the `train` extra."""
