"""The engine of a Ray cluster: Ray Data gives the parts of a job to actors on its nodes, and their rows come back."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from math import inf
from typing import Any

from artifact.cluster import LOCAL, check_ray, connected
from artifact.errors import ClusterUnavailable
from catalog.actor import Labeller, is_here, received, sent
from catalog.classifier import Classifier
from catalog.gathered import Gathered
from catalog.job import Job

_PARTS = 4096  # that Ray is given at once, a million photos: what it holds is bounded, however long the listing is

# Two parts at once in an actor: while one ends, with photos that only some of its threads have, the other one goes on.
_PARTS_AT_ONCE = 2


class ClusterEngine:
    """Labels what is missing of a job on the Ray cluster at `address`, by `actors` or as many as it has room for.

    An actor has a core, `gpus` of a GPU, and a model of its own, which `classifier` makes there. It reads the photos
    that it labels. This process alone writes, so that nobody else needs the job's folder. Raises ClusterUnavailable.
    """

    def __init__(self, classifier: Callable[[], Classifier], address: str, actors: int | None, gpus: float) -> None:
        check_ray()
        self._classifier = classifier
        self._address = address
        self._actors = actors
        self._gpus = gpus

    def run(self, job: Job, labelled: Callable[[int], object]) -> None:
        """Write all parts that are missing; `labelled` is told of so many photos more.

        Where a part cannot be written, or the store cannot be reached, its error is raised, and the job ends.
        """
        if not job.missing():
            return
        # Ray prints what its nodes say
        with redirect_stdout(sys.stderr), connected(self._address), Gathered(job) as done:
            from ray.exceptions import RayError  # noqa: PLC0415 - where Ray is

            try:
                for part, table in self._tables(job):
                    if done.add(part, table):
                        done.write()
                    labelled(table.num_rows)
            except RayError as error:
                why = str(error).splitlines()[0]
                raise ClusterUnavailable(f"The cluster gave the job up ({why}); the same command goes on.") from error

    def _tables(self, job: Job) -> Iterator[tuple[int, Any]]:
        """The rows of each missing part, as they are ready, in any order."""
        import ray  # noqa: PLC0415 - the extra `ray`

        pool = ray.data.ActorPoolStrategy(
            **self._size(ray.cluster_resources()),
            max_concurrent_calls_per_actor=_PARTS_AT_ONCE,
            enable_true_multi_threading=True,
        )
        missing, witness = job.missing(), _witness(job)
        _quieten(ray.data)
        for start in range(0, len(missing), _PARTS):
            parts = [sent(part, job.listing.part(part)) for part in missing[start : start + _PARTS]]
            labelled = ray.data.from_blocks(parts).map_batches(
                Labeller,
                fn_constructor_args=(self._classifier, witness),
                batch_size=1,  # a row is a part
                batch_format="pyarrow",
                num_gpus=self._gpus or None,  # and a core, which Ray Data adds: whoever says both is warned
                compute=pool,
            )
            for batch in labelled.iter_batches(batch_size=None, batch_format="pyarrow"):
                yield from received(batch)

    def _size(self, there: dict[str, float]) -> dict[str, int]:
        """How many actors there are: where nobody says, all that have room in what is there now, and Ray may add some.

        Raises ClusterUnavailable where no GPU will ever come; a cluster that grows may have none yet.
        """
        if self._address == LOCAL and there.get("GPU", 0) < self._gpus:
            raise ClusterUnavailable(
                "This machine has no GPU; leave --gpus-per-actor out, or name a cluster by --address."
            )
        if self._actors:
            return {"size": self._actors}
        room = min(there.get("CPU", 0), there.get("GPU", 0) / self._gpus if self._gpus else inf)
        return {"min_size": 1, "initial_size": max(1, int(room))}


def _witness(job: Job) -> str | None:
    """A file with a photo that is here, and so should be on each node; None where the first ones are in a store."""
    photos = job.listing.part(job.missing()[0])
    return next((each.where for each in photos if is_here(each.where)), None)


def _quieten(data: Any) -> None:
    """Let Ray Data tell what goes wrong, as it is, and nothing else: how far the job is has a bar of its own."""
    context = data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    logging.getLogger("ray.data._internal.progress").setLevel(logging.ERROR)  # it warns that it has no bar
