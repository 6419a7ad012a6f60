"""From a run folder to a verified artifact in the model repository. Needs the `train` extra."""
