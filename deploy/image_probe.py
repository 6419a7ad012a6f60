# ruff: noqa: INP001 - deploy/ is no package; image-check.sh feeds this to the Python inside the image
"""Looks at the image from inside: what it holds, who it runs as, what is writable, and what its service answers.

usage: python - inspect | sizes | ask   (ask: of the service on HANGTAG_PORT)
"""

import http.client
import json
import os
import stat
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from artifact.golden import GOLDEN_FILE, GoldenSamples
from artifact.repository import Repository

ABSENT = (
    "tensorflow",
    "keras",
    "tf2onnx",
    "onnx",
    "matplotlib",
    "training",
    "export",
    "benchmarks",
    "pip",
    "setuptools",
)
SERVING = "import http.client, service.command"
MOUNTED = ("/proc", "/sys", "/dev")
SITE = next(Path(path) for path in sys.path if path.endswith("site-packages"))
NAMES = {"PIL": "pillow"}  # one name for one package
TOLERANCE = 1e-3  # an answer's scores may be rounded
PATIENCE = 60  # seconds until the service must be ready


def ok(what: str) -> None:
    """Print one claim that holds."""
    sys.stdout.write(f"ok    {what}\n")
    sys.stdout.flush()


def check(holds: object, what: str) -> None:
    """End the probe unless the claim holds."""
    if not holds:
        sys.exit(f"FAIL  {what}")


def tree() -> Iterator[tuple[str, os.stat_result]]:
    """Every file and folder of the image but symbolic links and what the kernel mounts, with its lstat."""
    for folder, folders, files in os.walk("/"):
        folders[:] = [name for name in folders if os.path.join(folder, name) not in MOUNTED]  # noqa: PTH118 - 40,000 times
        for path in (os.path.join(folder, name) for name in ("", *files)):  # noqa: PTH118 - the same
            status = os.lstat(path)
            if not stat.S_ISLNK(status.st_mode):
                yield path, status


def inspect() -> None:
    """Who it runs as, what cannot be imported, what is writable, and whether all that serving imports is compiled."""
    check(os.getuid() and os.getgid() and not set(os.getgroups()) - {os.getgid()}, f"it runs as {os.getuid()}")
    ok(f"it runs as user {os.getuid()}, group {os.getgid()}, and no other group")

    present = [name for name in ABSENT if find_spec(name)]
    check(not present, f"the image holds {', '.join(present)}")
    ok(f"not importable: {', '.join(ABSENT)}")

    writable = [
        path
        for path, status in tree()
        if not status.st_mode & stat.S_ISVTX  # /tmp and its like
        and (status.st_mode & stat.S_IWOTH or os.getuid() == status.st_uid or os.getgid() == status.st_gid)
    ]
    check(not writable, f"its user owns or may write {', '.join(writable[:10])}")
    ok("by owner and mode its user may write nothing but /tmp and its like")
    folders = ("/", "/tmp", "/var/tmp", "/models", "/opt/hangtag")  # noqa: S108 - nothing is kept there
    opened = [folder for folder in folders if can_write(folder)]
    check(not opened, f"{', '.join(opened)} can be written, though the root file system is read-only")
    ok("the root file system is read-only, without a tmpfs")

    script = (
        f"import sys; {SERVING}; print(*(m.__cached__ for m in sys.modules.values() if getattr(m, '__cached__', None)))"
    )
    run = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)  # noqa: S603 - ours
    compiled = run.stdout.split()
    missing = [path for path in compiled if not Path(path).exists()]
    check(not missing, f"not compiled: {', '.join(missing[:10])}")
    ok(f"all {len(compiled)} modules that serving and its health check import are compiled")


def can_write(folder: str) -> bool:
    """Whether a file can be made in the folder."""
    path = Path(folder, ".image-check")
    try:
        path.touch()
    except OSError:
        return False
    path.unlink()
    return True


def sizes() -> None:
    """The image's size in MiB by parts, largest first."""
    site, parts = f"{SITE}/", Counter[str]()
    for path, status in tree():
        if path.startswith(site):
            name = path.removeprefix(site).split("/")[0].split(".")[0].split("-")[0]
            parts[NAMES.get(name, name)] += status.st_size
        else:
            parts["models" if path.startswith("/models/") else "the base"] += status.st_size
    largest = parts.most_common(7)
    rest = parts.total() - sum(size for _, size in largest)
    rows = [*largest, ("other packages", rest), ("models", parts["models"])]
    for name, size in (*dict(rows).items(), ("in all", parts.total())):
        sys.stdout.write(f"      {size / 2**20:7.1f} MiB  {name}\n")
    sys.stdout.flush()


def ask() -> None:
    """The service becomes ready, and answers each model's first golden sample as the trained model did."""
    started = time.monotonic()
    while request("GET", "/health/ready")[0] != http.client.OK:
        check(time.monotonic() - started < PATIENCE, f"it is not ready: {request('GET', '/health/ready')}")
        time.sleep(0.05)
    ok("it is ready")
    models = Repository(Path(os.environ["HANGTAG_MODELS"]))
    for name in models.names():
        artifact = models.open(name, models.versions(name)[-1])
        golden: GoldenSamples = artifact.golden
        status, body = request("POST", f"/v1/models/{name}/classify", golden.images[0])
        check(status == http.client.OK, f"{name} answers {status}: {body!r}")
        best = json.loads(body)["predictions"][0]
        label, score = artifact.card.labels[int(np.argmax(golden.scores[0]))], float(golden.scores[0].max())
        same = best["label"] == label and abs(best["score"] - score) < TOLERANCE
        check(same, f"{name} answers {best}, not {label} {score}")
        ok(f"{name} answers {label!r} with {best['score']:.4f} to a photo of {GOLDEN_FILE}, as the trained model did")


def request(method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    """The status and body of one request; status 0 where nobody listens."""
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ["HANGTAG_PORT"]), timeout=10)
    try:
        connection.request(method, path, body, {"Content-Type": "application/octet-stream"} if body else {})
        response = connection.getresponse()
        return response.status, response.read()
    except OSError as error:
        return 0, str(error).encode()
    finally:
        connection.close()


if __name__ == "__main__":
    {"inspect": inspect, "sizes": sizes, "ask": ask}[sys.argv[1]]()
