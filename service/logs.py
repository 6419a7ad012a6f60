"""What the service says on standard error: all of it, whoever says it, as JSON for programs or as text for people."""

import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import parent_process

from structlog.dev import ConsoleRenderer, plain_traceback
from structlog.processors import ExceptionRenderer, JSONRenderer, TimeStamper
from structlog.stdlib import ExtraAdder, ProcessorFormatter, add_log_level, add_logger_name
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, Processor, WrappedLogger

from artifact.errors import HangtagError
from service.logwriter import LogWriter
from service.record import current
from service.settings import LogFormat, Settings

logger = logging.getLogger("hangtag")

# They complain of what clients send, and repeat it; what was wrong with a request is on its own line.
_TALKATIVE = ("PIL", "opentelemetry.trace", "python_multipart")


@contextmanager
def logged(settings: Settings) -> Iterator[None]:
    """Log what happens inside, and at last what ended it, if nobody foresaw that; then the exit code is 1."""
    is_for_people = sys.stderr is not None and sys.stderr.isatty()
    handler = LogWriter(sys.stderr.fileno()) if sys.stderr else logging.NullHandler()
    handler.setFormatter(_formatter(settings.log_format or ("text" if is_for_people else "json"), colors=is_for_people))
    _set_levels(settings.log_level.upper())
    logging.getLogger().addHandler(handler)
    logging.captureWarnings(True)  # noqa: FBT003 - as logging has it
    hooks = threading.excepthook, sys.unraisablehook
    threading.excepthook, sys.unraisablehook = _thread_failed, _unraisable
    try:
        yield
    except Exception as error:
        if isinstance(error, HangtagError) and parent_process() is None:
            raise  # `hangtag` explains it
        logger.critical("the service failed", exc_info=True)
        raise SystemExit(1) from None
    finally:
        threading.excepthook, sys.unraisablehook = hooks
        logging.captureWarnings(False)  # noqa: FBT003 - the same
        logging.getLogger().removeHandler(handler)
        handler.close()


def _set_levels(level: str) -> None:
    """Let others than us say nothing below `info`: a decoder would tell what is in the images."""
    logging.getLogger("hangtag").setLevel(level)
    logging.getLogger().setLevel(max(logging.getLevelNamesMapping()[level], logging.INFO))
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _formatter(kind: LogFormat, *, colors: bool) -> ProcessorFormatter:
    """Tracebacks never show the values of variables, which are images and keys."""
    render: list[Processor] = (
        [ExceptionRenderer(ExceptionDictTransformer(show_locals=False)), JSONRenderer()]
        if kind == "json"
        else [ConsoleRenderer(colors=colors, exception_formatter=plain_traceback, sort_keys=False, pad_event_to=0)]
    )
    return ProcessorFormatter(
        foreign_pre_chain=[TimeStamper(fmt="iso"), add_log_level, add_logger_name, ExtraAdder(), _completed],
        processors=[ProcessorFormatter.remove_processors_meta, *render],
    )


def _completed(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    """A line with the process that says it, and the ids of the request that it is about."""
    line.pop("color_message", None)  # uvicorn's, the same once more
    line["pid"] = os.getpid()
    if record := current.get(None):
        line["request_id"], line["trace_id"] = record.request_id, record.trace_id
    return line


def _thread_failed(failure: threading.ExceptHookArgs) -> None:
    logger.critical("a thread failed", exc_info=failure.exc_value)


def _unraisable(failure: "sys.UnraisableHookArgs") -> None:
    logger.error("an error was lost: %s", failure.err_msg or "nobody could take it", exc_info=failure.exc_value)
