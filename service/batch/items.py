"""What is said of one photo: an answer, or a problem, in the words that a request of its own would get."""

from artifact.answer import Answer
from artifact.errors import HangtagError
from service.batch.schemas import ClassifiedItem, Item, RefusedItem
from service.problems import problem_of


def classified(which: Item, answer: Answer) -> ClassifiedItem:
    """The item of a photo that was classified."""
    return ClassifiedItem(
        **which,
        status=200,
        predictions=[{"label": label, "score": score} for label, score in answer.predictions],
        decision=answer.decision,
        threshold=answer.threshold,
    )


def refused(which: Item, error: HangtagError) -> RefusedItem:
    """The item of a photo that was not; it does not keep the error, which may hold the photo."""
    problem = problem_of(error)
    return RefusedItem(
        **which,
        status=problem.status,
        type=problem.type,
        title=problem.title,
        detail=problem.detail,
        code=problem.code,
    )
