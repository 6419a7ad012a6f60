"""Every error that Hangtag raises on purpose, drawn once.

    HangtagError
    ├── ImageError                    these bytes are no image that the model can look at
    │   ├── EmptyImage
    │   ├── UnsupportedImageType
    │   ├── TruncatedImage
    │   ├── UndecodableImage
    │   └── TooManyPixels
    ├── ArtifactError                 the model repository, or what stands in it, is not as it says
    │   ├── RepositoryEmpty
    │   ├── ModelNotFound
    │   ├── VersionNotFound
    │   ├── VersionExists
    │   ├── VersionChanged
    │   ├── ReportNotFound
    │   ├── CardInvalid
    │   ├── RolloutInvalid
    │   ├── LabelRefused
    │   ├── DigestMismatch
    │   ├── ModelMismatch
    │   └── GoldenMismatch
    ├── ProviderUnavailable           onnxruntime cannot run on the device that was asked for
    ├── RequestError                  the request itself is wrong
    │   ├── BodyTooLarge
    │   ├── BodyTimeout
    │   ├── ClientGone
    │   ├── ContentTypeUnsupported
    │   └── MalformedRequest
    ├── Refused                       the request is right, and the service will not take it now
    │   ├── QueueFull
    │   ├── RateLimited
    │   ├── ModelUnavailable
    │   ├── DeadlineExceeded
    │   └── Draining
    ├── ReloadFailed                  what the labels say could not be loaded; what answered before goes on
    ├── LastModel                     nothing would be left in service
    ├── ManyWorkers                   it would be true of one worker only
    ├── MemoryShort                   there is no room for one more model
    ├── AccessDenied                  the route asks for a key that may do this
    │   ├── KeyMissing
    │   ├── KeyUnknown
    │   └── ScopeMissing
    ├── InferenceFailed               onnxruntime failed on a good request
    ├── InferenceStuck                the model did not come back from a good request
    ├── InternalError                 a defect of ours
    ├── ClientError                   a call of `service.client` did not end in an answer
    │   ├── PhotoUnreadable
    │   ├── ServiceUnreachable
    │   ├── ProblemAnswered
    │   ├── AnswerInvalid
    │   └── AnswerLate
    ├── DataError                     the training data is not there, or not what it should be
    ├── RecipeError                   the recipe or the run folder is not one that can be trained or exported
    ├── ExportError                   the exported model is not the trained one, and is not published
    ├── KeysError                     the file of API keys, or what is to be done to it, is not right
    │   ├── KeysInvalid
    │   └── KeyRefused
    ├── OptionInvalid                 an option or a `HANGTAG_*` variable has a value that it cannot have
    ├── AddressInUse                  another program listens where the service should
    └── AddressUnavailable            the machine has no such address, or may not listen on it

Each message is one sentence that says what was wrong, where, and what would be right. `code` is stable: programs may
match on it. What an error means in HTTP is known to `service.problems` alone. The errors of the client stand here, too:
whoever calls a service from a program of their own catches HangtagError, as `hangtag` does.
"""


class HangtagError(Exception):
    """Whatever Hangtag raises on purpose; its text may be shown to the user as it is."""

    code: str = "error"


class ImageError(HangtagError):
    """These bytes are no image that the model can look at."""

    code = "image_invalid"


class EmptyImage(ImageError):
    """There are no bytes at all."""

    code = "image_empty"


class UnsupportedImageType(ImageError):
    """It is an image, or says so, of a type that is not taken."""

    code = "image_type_unsupported"


class TruncatedImage(ImageError):
    """The image starts well and ends too soon."""

    code = "image_truncated"


class UndecodableImage(ImageError):
    """No decoder can make pixels of these bytes."""

    code = "image_undecodable"


class TooManyPixels(ImageError):
    """The image declares more pixels than the limit; it was not decoded."""

    code = "image_too_many_pixels"


class ArtifactError(HangtagError):
    """The model repository, or what stands in it, is not as it says."""

    code = "artifact_invalid"


class RepositoryEmpty(ArtifactError):
    """The model repository holds no model, or is not there."""

    code = "repository_empty"


class ModelNotFound(ArtifactError):
    """No model has this name."""

    code = "model_not_found"


class VersionNotFound(ArtifactError):
    """The model has no such version."""

    code = "version_not_found"


class VersionExists(ArtifactError):
    """The version is published already, and a published version never changes."""

    code = "version_exists"


class VersionChanged(ArtifactError):
    """The version's folder has another one in it than the one that was loaded."""

    code = "version_changed"


class ReportNotFound(ArtifactError):
    """The version was published without a page that reports on its training."""

    code = "report_not_found"


class CardInvalid(ArtifactError):
    """The card is missing, is not JSON, or breaks its schema."""

    code = "card_invalid"


class RolloutInvalid(ArtifactError):
    """The labels of a model cannot be read, or name what is not there."""

    code = "rollout_invalid"


class LabelRefused(ArtifactError):
    """The labels of a model cannot be changed in this way."""

    code = "label_refused"


class DigestMismatch(ArtifactError):
    """A file is not the one that the card was written for."""

    code = "digest_mismatch"


class ModelMismatch(ArtifactError):
    """The ONNX graph does not have the inputs and outputs that its card names."""

    code = "model_mismatch"


class GoldenMismatch(ArtifactError):
    """The model does not answer its golden samples as the trained model did."""

    code = "golden_mismatch"


class ProviderUnavailable(HangtagError):
    """onnxruntime cannot run on the device that was asked for."""

    code = "provider_unavailable"


class RequestError(HangtagError):
    """The request itself is wrong."""

    code = "request_invalid"


class BodyTooLarge(RequestError):
    """The body is over the limit; the rest of it was not read."""

    code = "body_too_large"


class BodyTimeout(RequestError):
    """The body did not arrive in time."""

    code = "body_timeout"


class ClientGone(RequestError):
    """The client hung up before its answer was ready; nobody reads this."""

    code = "client_gone"


class ContentTypeUnsupported(RequestError):
    """The content type is neither an image nor multipart/form-data."""

    code = "content_type_unsupported"


class MalformedRequest(RequestError):
    """The body or the query cannot be understood."""

    code = "request_malformed"


class Refused(HangtagError):
    """The request is right, and the service will not take it now."""

    code = "refused"


class QueueFull(Refused):
    """The model has as much waiting as it may."""

    code = "queue_full"


class RateLimited(Refused):
    """The key has asked for more than its rate; `retry_after` is in how many seconds it may ask for as much again."""

    code = "rate_limited"

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ModelUnavailable(Refused):
    """The model should be served, but is not loaded (yet)."""

    code = "model_unavailable"


class DeadlineExceeded(Refused):
    """The request waited until its deadline: for a runner, or for scores that another one was computing."""

    code = "deadline_exceeded"


class Draining(Refused):
    """The service is shutting down and takes nothing new."""

    code = "draining"


class ReloadFailed(HangtagError):
    """What the labels say could not be loaded; what answered before goes on."""

    code = "reload_failed"


class LastModel(HangtagError):
    """Nothing would be left in service."""

    code = "last_model"


class ManyWorkers(HangtagError):
    """It would be true of one worker only."""

    code = "many_workers"


class MemoryShort(HangtagError):
    """There is no room for one more model."""

    code = "memory_short"


class AccessDenied(HangtagError):
    """The route asks for a key that may do this."""

    code = "access_denied"


class KeyMissing(AccessDenied):
    """The request brings no key."""

    code = "key_missing"


class KeyUnknown(AccessDenied):
    """The request's key is none of this service's, or not any more."""

    code = "key_unknown"


class ScopeMissing(AccessDenied):
    """The request's key is good, and not for this; or no key is."""

    code = "scope_missing"


class InferenceFailed(HangtagError):
    """onnxruntime failed on a good request."""

    code = "inference_failed"


class InferenceStuck(HangtagError):
    """The model did not come back from a good request, and was given up."""

    code = "inference_stuck"


class InternalError(HangtagError):
    """A defect of ours; the log says more."""

    code = "internal_error"


class ClientError(HangtagError):
    """A call of the client did not end in an answer."""

    code = "client_error"


class PhotoUnreadable(ClientError):
    """The photo's file cannot be read; nothing was sent."""

    code = "photo_unreadable"


class ServiceUnreachable(ClientError):
    """There is no connection to the service, or it broke before the answer was whole."""

    code = "service_unreachable"


class ProblemAnswered(ClientError):
    """The service answered with a problem (RFC 9457), whose `code` this error has.

    `retry_after` is how many seconds the service wants to be left alone, None where it does not say.
    """

    code = "problem_answered"

    def __init__(
        self, status: int, code: str, detail: str, request_id: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(status, code, detail, request_id, retry_after)  # all of them, so that it can be pickled
        self.status = status
        self.code = code
        self.detail = detail
        self.request_id = request_id
        self.retry_after = retry_after

    def __str__(self) -> str:
        return self.detail


class AnswerInvalid(ClientError):
    """What came is no answer of this service."""

    code = "answer_invalid"


class AnswerLate(ClientError):
    """The caller's deadline passed before there was an answer."""

    code = "answer_late"


class DataError(HangtagError):
    """The training data is not there, or not what it should be."""

    code = "data_invalid"


class RecipeError(HangtagError):
    """The recipe or the run folder is not one that can be trained or exported."""

    code = "recipe_invalid"


class ExportError(HangtagError):
    """The exported model is not the trained one, and is not published."""

    code = "export_refused"


class KeysError(HangtagError):
    """The file of API keys, or what is to be done to it, is not right."""

    code = "keys_error"


class KeysInvalid(KeysError):
    """The file of API keys is missing, or cannot be read as one."""

    code = "keys_invalid"


class KeyRefused(KeysError):
    """A key cannot be made or taken back as it was asked for."""

    code = "key_refused"


class OptionInvalid(HangtagError):
    """An option or a `HANGTAG_*` variable has a value that it cannot have."""

    code = "option_invalid"


class AddressInUse(HangtagError):
    """Another program listens where the service should."""

    code = "address_in_use"


class AddressUnavailable(HangtagError):
    """The machine has no such address, or may not listen on it."""

    code = "address_unavailable"
