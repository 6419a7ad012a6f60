"""Every setting of the service, once: each is a `hangtag serve` option and a `HANGTAG_*` environment variable."""

from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, AnyHttpUrl, Field, StringConstraints

from artifact.command import Options, Words
from artifact.device import Device
from artifact.errors import OptionInvalid
from artifact.pixels import DEFAULT_MAX_PIXELS
from artifact.zipped import DEFAULT_MAX_RATIO

LogFormat = Literal["json", "text"]


def _check_collector(endpoint: AnyHttpUrl) -> AnyHttpUrl:
    """What sends traces is installed; raises ValueError where it is not."""
    try:
        find_spec("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    except ModuleNotFoundError:
        raise ValueError("traces need the extra `otlp`: pip install 'hangtag[otlp]'") from None
    return endpoint


Collector = Annotated[AnyHttpUrl, AfterValidator(_check_collector)]
Origin = Annotated[str, StringConstraints(pattern=r"^(\*|https?://[^/*\s]+)$")]


class Settings(Options):
    """Answer classification requests over HTTP.

    Example: hangtag serve --models models --port 8000
    """

    host: str = Field("127.0.0.1", description="address to listen on; 0.0.0.0 for all")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0 takes a free one and prints it")
    models: Path = Field(
        Path("models"), description="the model repository: a folder <name>/<version>/ per model version"
    )
    device: Device = Field("auto", description="where models run; auto is cuda where onnxruntime has it, else cpu")
    workers: int = Field(1, ge=1, le=256, description="processes that share the port")
    runners: int | None = Field(
        None, ge=1, le=1024, description="batches of one model that run at once; else as tuned, else one a core"
    )
    threads: int | None = Field(
        None, ge=1, le=1024, description="cores that one run of a model uses; else as tuned, else one"
    )
    max_batch: int | None = Field(
        None, ge=1, le=1024, description="images in one run at most; else as tuned, else a sound default"
    )
    gpu_memory_bytes: int = Field(0, ge=0, description="memory of a GPU that one model may take; 0 sets no limit")
    memory_bytes: int = Field(
        0,
        ge=0,
        description="memory that the service may take; no model is loaded beyond it; 0 takes the container's limit",
    )
    watch: bool = Field(default=False, description="reload when something changes in the model repository")
    keys: Path | None = Field(
        None, description="the file of API keys that `hangtag keys` writes; else none are asked for"
    )
    anonymous: bool = Field(default=False, description="answer those who bring no key, too; admin routes need one")
    cors_origins: Words[Origin] = Field(
        (), description="pages of other origins that may ask, such as https://shop.example; * for all"
    )
    pages: bool = Field(default=True, description="show pages for people, at / and what it links to")
    max_items: int = Field(
        256, ge=1, description="images of one model in the service at once; one more is answered 429"
    )
    max_held_bytes: int = Field(
        128 * 2**20, ge=1, description="bytes of images of one model in the service at once; one more is answered 429"
    )
    max_held_pixels: int = Field(
        10**9, ge=1, description="pixels that these images may declare together; one more is answered 429"
    )
    cache_bytes: int = Field(
        32 * 2**20, ge=0, description="memory for scores of images that may come again; 0 keeps none"
    )
    max_body_bytes: int = Field(10 * 2**20, ge=1, description="bytes in one request body at most")
    max_batch_items: int = Field(1000, ge=1, description="images in one request to classify-batch at most")
    max_batch_bytes: int = Field(
        2**30, ge=1, description="bytes of a form with many images at most; they are read as they are classified"
    )
    max_zip_bytes: int = Field(64 * 2**20, ge=1, description="bytes of a zip file with many images; it is held whole")
    max_zip_ratio: int = Field(
        DEFAULT_MAX_RATIO, ge=1, description="how many times larger than in the zip file an image may be"
    )
    max_pixels: int = Field(DEFAULT_MAX_PIXELS, ge=1, description="pixels that one image may declare at most")
    body_timeout_seconds: float = Field(30, gt=0, description="how long a request body may take to arrive")
    max_connections: int = Field(
        4096, ge=1, description="connections of one worker at most; the longest idle one gives way to one more"
    )
    keep_alive_seconds: float = Field(
        65, gt=0, description="how long a connection may be idle; longer than clients and load balancers keep theirs"
    )
    client_timeout_seconds: float = Field(
        10, gt=0, description="how long a client may stop in the head of a request, or take nothing of its answer"
    )
    deadline_seconds: float = Field(
        30, gt=0, description="how long an image may take to be answered, if it asks for no less"
    )
    stuck_seconds: float = Field(
        4,
        ge=0.2,
        description="how long one photo's decode, one run of a model, or a turn of a worker's event loop may take, "
        "until it counts as stuck",
    )
    drain_seconds: float = Field(2, ge=0, description="after SIGTERM: how long requests are still taken, not ready")
    shutdown_seconds: float = Field(30, gt=0, description="after that: how long accepted requests may take to finish")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least severe log line shown")
    log_format: LogFormat | None = Field(
        None, description="how log lines look; by default text where standard error is a terminal, else json"
    )
    log_requests_per_second: int = Field(
        10, ge=0, description="log lines a second for requests that ended alike; the rest are counted on the next line"
    )
    otlp_endpoint: Collector | None = Field(
        None, description="where traces are sent by OTLP over HTTP, such as http://127.0.0.1:4318"
    )
    otlp_share: float = Field(
        1, ge=0, le=1, description="share of requests that are traced, of those whose caller has not decided that"
    )

    @property
    def takes_anybody(self) -> bool:
        """Whether those may classify who bring no key."""
        return self.anonymous or self.keys is None

    def check_reach(self) -> None:
        """Raises OptionInvalid where other machines could ask without a key, and nobody said that they may."""
        if self.keys is None and not self.anonymous and not _is_loopback(self.host):
            raise OptionInvalid(
                f"--host: whoever reaches {self.host} could ask. Make keys (`hangtag keys add NAME`), and name their "
                "file by --keys; or say --anonymous where all may ask who reach it."
            )


def _is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address; a name but localhost may mean any."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
