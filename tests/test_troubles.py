"""What an error of a store's package means: for one object, for all of them, or only for a moment.

S3's are tried with a real server in test_stores.py; those of packages that are not installed are made after these.
"""

import errno
import json

import pytest

from catalog.troubles import Meaning, meaning_of, said


class Answered(Exception):
    """As gcsfs has `HttpError`, and azure.core `HttpResponseError`."""

    def __init__(self, **status: int) -> None:
        super().__init__("No.\nReally not.")
        self.__dict__.update(status)


class DefaultCredentialsError(Exception):
    """As google.auth has it."""


class ClientAuthenticationError(Answered):
    """As azure.core has it."""


def of_s3(error: Exception, code: str) -> Exception:
    """As s3fs has it: the cause is botocore's error."""
    error.__cause__ = Exception()
    error.__cause__.response = {"Error": {"Code": code}}  # type: ignore[attr-defined]
    return error


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (FileNotFoundError("a"), Meaning.NO_SUCH_NAME),
        (of_s3(FileNotFoundError("a"), "NoSuchBucket"), Meaning.NO_SUCH_NAME),
        (of_s3(OSError(errno.ENAMETOOLONG, "a"), "KeyTooLongError"), Meaning.NO_SUCH_NAME),
        (UnicodeEncodeError("utf-8", "a", 0, 1, "b"), Meaning.NO_SUCH_NAME),
        (Answered(code=404), Meaning.NO_SUCH_NAME),
        (of_s3(PermissionError("a"), "AccessDenied"), Meaning.FORBIDDEN),
        (PermissionError("a"), Meaning.FORBIDDEN),
        (OSError("Forbidden: https://storage.googleapis.com/a\nNo access"), Meaning.FORBIDDEN),
        (Answered(status_code=403), Meaning.FORBIDDEN),
        (of_s3(PermissionError("a"), "InvalidObjectState"), Meaning.UNREADABLE),
        (of_s3(OSError(errno.EINVAL, "a"), "InvalidRequest"), Meaning.UNREADABLE),
        (of_s3(PermissionError("a"), "ExpiredToken"), Meaning.REFUSED),
        (of_s3(OSError(errno.EINVAL, "a"), "400"), Meaning.REFUSED),
        (of_s3(OSError(errno.EREMCHG, "a"), "PermanentRedirect"), Meaning.REFUSED),
        (Answered(code=401), Meaning.REFUSED),
        (DefaultCredentialsError(), Meaning.REFUSED),
        (ClientAuthenticationError(status_code=403), Meaning.REFUSED),
        (of_s3(OSError(errno.EBUSY, "a"), "SlowDown"), Meaning.TROUBLE),
        (of_s3(OSError(errno.EREMOTEIO, "a"), "InternalError"), Meaning.TROUBLE),
        (ConnectionResetError("a"), Meaning.TROUBLE),
        (TimeoutError(), Meaning.TROUBLE),
        (json.JSONDecodeError("a", "<html>", 0), Meaning.TROUBLE),
        (Answered(code=503), Meaning.TROUBLE),
        (Exception("whatever"), Meaning.TROUBLE),
    ],
)
def test_an_error_means_what_its_store_means(error: Exception, meaning: Meaning):
    assert meaning_of(error) is meaning


def test_what_a_package_said_is_one_line():
    assert said(Answered()) == "No"
    assert said(TimeoutError()) == "TimeoutError"
