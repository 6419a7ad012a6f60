"""What it means when a store's package raises an error: of what it is, and whether it is of use to ask again."""

import errno
from enum import Enum, auto


class Meaning(Enum):
    """What an error says, and of what."""

    NO_SUCH_NAME = auto()  # no object has, or can have, this name
    FORBIDDEN = auto()  # who asks may not have this object
    UNREADABLE = auto()  # nobody can have it; others can be had
    REFUSED = auto()  # whoever asks so will never have any
    TROUBLE = auto()  # it may be over in a moment


_OF_S3 = {
    **dict.fromkeys(("InvalidBucketName", "KeyTooLongError"), Meaning.NO_SUCH_NAME),
    **dict.fromkeys(("AccessDenied", "AllAccessDisabled", "Forbidden", "403"), Meaning.FORBIDDEN),
    "InvalidObjectState": Meaning.UNREADABLE,  # it is in an archive
    "InvalidRequest": Meaning.UNREADABLE,  # such as without the key that it was encrypted with
    **dict.fromkeys(("InvalidArgument", "MethodNotAllowed"), Meaning.UNREADABLE),
}
_OF_CLASSES = {
    **dict.fromkeys(("FileNotFoundError", "IsADirectoryError", "ValueError"), Meaning.NO_SUCH_NAME),
    "JSONDecodeError": Meaning.TROUBLE,  # a ValueError, and what something on the way says in place of the store
    "ParamValidationError": Meaning.NO_SUCH_NAME,  # of botocore, as the next six
    **dict.fromkeys(("NoCredentialsError", "PartialCredentialsError", "ProfileNotFound"), Meaning.REFUSED),
    **dict.fromkeys(("CredentialRetrievalError", "TokenRetrievalError", "SSOError"), Meaning.REFUSED),
    "DefaultCredentialsError": Meaning.REFUSED,  # of google.auth
    "ClientAuthenticationError": Meaning.REFUSED,  # of azure.core
}
_OF_STATUSES: dict[object, Meaning] = {401: Meaning.REFUSED, 403: Meaning.FORBIDDEN, 404: Meaning.NO_SUCH_NAME}
_NEVER = {errno.EINVAL, errno.EPERM, errno.ENOSYS, errno.EREMCHG}  # it answers, and not with what is asked


def meaning_of(error: Exception) -> Meaning:
    """What an error means: by S3's code, its class, its HTTP status, or its number; trouble where nobody knows."""
    if meaning := _OF_S3.get(code := _code(error)):
        return meaning
    for kind in type(error).__mro__:
        if meaning := _OF_CLASSES.get(kind.__name__):
            return meaning
    if isinstance(error, PermissionError):  # S3 has many codes for what is wrong with credentials
        return Meaning.REFUSED if code else Meaning.FORBIDDEN
    if isinstance(error, OSError) and error.errno in _NEVER:
        return Meaning.REFUSED
    return _OF_STATUSES.get(_status(error), Meaning.TROUBLE)


def said(error: Exception) -> str:
    """The first line of what the package says, or the name of the error where it says nothing."""
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(".")


def _code(error: Exception) -> str:
    """What S3 calls the error; empty for other stores."""
    response = getattr(error.__cause__, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def _status(error: Exception) -> object:
    """The HTTP status, as gcsfs and azure.core have it; of a 403, gcsfs keeps the name alone."""
    if str(error).startswith("Forbidden"):
        return 403
    return getattr(error, "code", None) or getattr(error, "status_code", None)
