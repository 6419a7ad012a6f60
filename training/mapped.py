"""A dataset with other labels: each stands for some labels of the photos, and photos of the rest are left out."""

from collections.abc import Iterator, Mapping, Sequence

from artifact.card import Split
from artifact.errors import DataError
from training.data import Dataset, Photo


class Mapped:
    """The photos of a dataset under the labels of `classes`, in its order; splits stay what they are."""

    def __init__(self, dataset: Dataset, classes: Mapping[str, Sequence[str]]) -> None:
        named = {label for labels in classes.values() for label in labels}
        unknown = sorted(named - set(dataset.labels))
        if unknown:
            raise DataError(
                f"The recipe's `data.classes` name {', '.join(unknown)}, which {dataset.source} has not; "
                f"its labels are {', '.join(dataset.labels)}."
            )
        if len(classes) < 2:  # noqa: PLR2004 - one label is nothing to choose from
            raise DataError("The recipe's `data.classes` have fewer than two labels; there should be two or more.")
        self.source = dataset.source
        self.licence = dataset.licence
        self.labels = tuple(classes)
        self.strays = dataset.strays
        self._dataset = dataset
        self._index = {
            dataset.labels.index(label): index for index, labels in enumerate(classes.values()) for label in labels
        }

    def photos(self, split: Split) -> Iterator[Photo]:
        """The photos of one split that have a label, in the dataset's order."""
        for photo in self._dataset.photos(split):
            if photo.label in self._index:
                yield Photo(photo.data, self._index[photo.label], photo.name)
