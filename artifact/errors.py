"""Every error that Hangtag raises on purpose, drawn once.

    HangtagError
    ├── ImageError                    these bytes are no image that the model can look at
    │   ├── EmptyImage
    │   ├── UnsupportedImageType
    │   ├── TruncatedImage
    │   ├── UndecodableImage
    │   ├── TooManyPixels
    │   └── TooManyBytes
    ├── ArchiveError                  these bytes are no archive that photos can be taken from
    │   ├── ArchiveInvalid
    │   ├── TooManyEntries
    │   └── EntryUnreadable
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
    │   ├── TooManyItems
    │   ├── BodyTimeout
    │   ├── HeadTimeout
    │   ├── ClientGone
    │   ├── ContentTypeUnsupported
    │   └── MalformedRequest
    ├── Refused                       the request is right, and the service will not take it now
    │   ├── QueueFull
    │   ├── RateLimited
    │   ├── ModelUnavailable
    │   ├── DeadlineExceeded
    │   ├── TooManyConnections
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
    ├── CatalogError                  a catalogue cannot be labelled, or one photo of it
    │   ├── SourceError                   a source is none that photos can be listed from
    │   │   ├── SourceNotFound
    │   │   ├── SourceEmpty
    │   │   ├── SourceForbidden
    │   │   ├── SourceUnknown
    │   │   ├── SourceUnreadable
    │   │   └── ColumnMissing
    │   ├── StoreError                    an object store does not give what it has
    │   │   ├── StoreUnsupported
    │   │   ├── StoreDenied
    │   │   └── StoreUnreachable
    │   ├── JobError                      its job cannot be begun, or gone on with
    │   │   ├── JobBusy
    │   │   ├── JobDiffers
    │   │   ├── JobDamaged
    │   │   ├── OutputExists
    │   │   └── OutputUnwritable
    │   └── PhotoError                    one photo cannot be read; the others can
    │       ├── PathMissing
    │       ├── PhotoMissing
    │       ├── PhotoForbidden
    │       ├── PhotoTooLarge
    │       └── PhotoDamaged
    ├── KeysError                     the file of API keys, or what is to be done to it, is not right
    │   ├── KeysInvalid
    │   └── KeyRefused
    ├── ClusterUnavailable            there is no Ray cluster, or it cannot do what is asked of it
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


class TooManyBytes(ImageError):
    """The image, one of many, has more bytes than one may have."""

    code = "image_too_many_bytes"


class ArchiveError(HangtagError):
    """These bytes are no archive that photos can be taken from."""

    code = "archive_error"


class ArchiveInvalid(ArchiveError):
    """The archive is damaged, or made to do harm."""

    code = "archive_invalid"


class TooManyEntries(ArchiveError):
    """The archive has more entries than one may have; none was taken out."""

    code = "archive_too_many_entries"


class EntryUnreadable(ArchiveError):
    """A file cannot be taken out of the archive; others can."""

    code = "archive_entry_unreadable"


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


class TooManyItems(RequestError):
    """The batch has more images than one may have; the rest was not looked at."""

    code = "too_many_items"


class BodyTimeout(RequestError):
    """The body did not arrive in time."""

    code = "body_timeout"


class HeadTimeout(RequestError):
    """The head of the request did not arrive in time."""

    code = "head_timeout"


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


class TooManyConnections(Refused):
    """The service has all the connections that it may have, and works for all of them."""

    code = "too_many_connections"


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


class CatalogError(HangtagError):
    """A catalogue cannot be labelled, or one photo of it."""

    code = "catalog_error"


class SourceError(CatalogError):
    """A source is none that photos can be listed from."""

    code = "source_error"


class SourceNotFound(SourceError):
    """There is no such file, folder or object."""

    code = "source_not_found"


class SourceEmpty(SourceError):
    """The source is there, and has no photos."""

    code = "source_empty"


class SourceForbidden(SourceError):
    """The source, or a folder in it, may not be read."""

    code = "source_forbidden"


class SourceUnknown(SourceError):
    """Neither its name nor its first bytes say that it is a photo, a manifest or an archive."""

    code = "source_unknown"


class SourceUnreadable(SourceError):
    """The manifest or the archive is damaged, is encrypted, or is none."""

    code = "source_unreadable"


class ColumnMissing(SourceError):
    """The manifest has no such column."""

    code = "column_missing"


class StoreError(CatalogError):
    """An object store does not give what it has."""

    code = "store_error"


class StoreUnsupported(StoreError):
    """It is no store that can be read here, or the package is missing that would read it."""

    code = "store_unsupported"


class StoreDenied(StoreError):
    """There are no credentials for the store, or it does not accept them."""

    code = "store_denied"


class StoreUnreachable(StoreError):
    """The store did not answer, however often it was asked."""

    code = "store_unreachable"


class JobError(CatalogError):
    """The job that labels a catalogue cannot be begun, or gone on with."""

    code = "job_invalid"


class JobBusy(JobError):
    """Another process is at the same job."""

    code = "job_busy"


class JobDiffers(JobError):
    """What is asked for is not what the job was begun for, or was done for."""

    code = "job_differs"


class JobDamaged(JobError):
    """The folder of the job is not as its program left it."""

    code = "job_damaged"


class OutputExists(JobError):
    """The output is there, and no job beside it says what it came from."""

    code = "output_exists"


class OutputUnwritable(JobError):
    """The output, or the folder of its job, cannot be written."""

    code = "output_unwritable"


class PhotoError(CatalogError):
    """One photo cannot be read; the others can."""

    code = "photo_error"


class PathMissing(PhotoError):
    """A row of a manifest names no photo."""

    code = "path_missing"


class PhotoMissing(PhotoError):
    """There is no such file, or it is a folder."""

    code = "photo_missing"


class PhotoForbidden(PhotoError):
    """The photo may not be read."""

    code = "photo_forbidden"


class PhotoTooLarge(PhotoError):
    """The photo's file is larger than the limit; it was not read."""

    code = "photo_too_large"


class PhotoDamaged(PhotoError):
    """The disk or the archive does not give the photo whole."""

    code = "photo_damaged"


class KeysError(HangtagError):
    """The file of API keys, or what is to be done to it, is not right."""

    code = "keys_error"


class KeysInvalid(KeysError):
    """The file of API keys is missing, or cannot be read as one."""

    code = "keys_invalid"


class KeyRefused(KeysError):
    """A key cannot be made or taken back as it was asked for."""

    code = "key_refused"


class ClusterUnavailable(HangtagError):
    """There is no Ray cluster, or it cannot do what is asked of it."""

    code = "cluster_unavailable"


class OptionInvalid(HangtagError):
    """An option or a `HANGTAG_*` variable has a value that it cannot have."""

    code = "option_invalid"


class AddressInUse(HangtagError):
    """Another program listens where the service should."""

    code = "address_in_use"


class AddressUnavailable(HangtagError):
    """The machine has no such address, or may not listen on it."""

    code = "address_unavailable"
