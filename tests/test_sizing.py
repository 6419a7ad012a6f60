"""What docs/operations.md reckons: cores for photos a second, and memory for the worst that clients may send."""

import re
import subprocess
import sys
from math import ceil
from pathlib import Path

import pytest
from PIL import Image

from artifact.pixels import DEFAULT_MAX_PIXELS
from artifact.repository import Repository
from manifests import AUTOSCALER, CONTAINER, OPERATIONS, settings_of
from service.settings import Settings
from support import PATIENCE, ROOT

MIB = 2**20
BUSY = 0.6  # of the cores, at the peak
PIXEL_BYTES, SIDE = 20, 2048  # what a decoder takes at most for a pixel, and the picture by which a test holds that
ASIDE = 256 * MIB  # interpreter, libraries, and six models as they rest: 173 MiB measured
WORST_OF_KIND = {"JPEG": "CMYK", "PNG": "RGBA", "WEBP": "RGBA", "TIFF": "RGBA"}
TURNED = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"  # EXIF: on its side
# Decodes a small picture and a large one, and prints how much more memory the second one took.
PEAK = """
import re, sys
from pathlib import Path
from artifact.card import InputSpec, Resize
from artifact.pixels import decode

def peak(name):
    decode(Path(sys.argv[1], name).read_bytes(), InputSpec(height=96, width=96, channels=3, resize=Resize(fit="pad")))
    return 1024 * int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])

print(-peak("64") + peak("2048"))
"""


def worst(models: int, runners: int, settings: Settings) -> int:
    """Bytes that a service takes when clients send to every model the worst that they may."""
    of_a_model = settings.max_held_bytes + runners * PIXEL_BYTES * settings.max_pixels
    return ASIDE + settings.cache_bytes + models * of_a_model


def test_the_memory_limit_holds_the_worst_that_clients_may_send():
    limits = CONTAINER["resources"]["limits"]
    needed = worst(len(Repository(ROOT / "models").names()), int(limits["cpu"]), settings_of(CONTAINER))
    assert needed <= int(limits["memory"].removesuffix("Gi")) * 1024 * MIB


def test_operations_reckon_with_the_same_memory():
    table = re.findall(r"^\| (\d) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|$", OPERATIONS, re.MULTILINE)
    assert len(table) == 3
    for models, *cells in table:
        for cell, pixels in zip(cells, (12_000_000, 25_000_000, DEFAULT_MAX_PIXELS), strict=True):
            assert int(cell.replace(",", "")) == round(worst(int(models), 2, Settings(max_pixels=pixels)) / MIB)


def test_operations_reckon_cores_and_pods_by_their_own_formula():
    _, _, beneath = OPERATIONS.partition("| photos a second | cores | pods of two cores |\n")
    rows, _, _ = beneath.partition("\n\n")
    table = re.findall(r"^\| ([\d,]+) \| (\d+) \| (\d+)(?: \(.*\))? \|$", rows, re.MULTILINE)
    assert len(table) == 4
    of_a_pod = int(CONTAINER["resources"]["limits"]["cpu"])
    for peak, cores, pods in table:
        needed = ceil(int(peak.replace(",", "")) / (BUSY * 297))
        assert (int(cores), int(pods)) == (needed, max(AUTOSCALER["spec"]["minReplicas"], ceil(needed / of_a_pod) + 1))


def test_the_autoscaler_keeps_cores_as_busy_as_operations_reckon():
    [cores] = [metric["resource"] for metric in AUTOSCALER["spec"]["metrics"] if metric["type"] == "Resource"]
    assert cores["target"]["averageUtilization"] == 100 * BUSY
    assert f"peak / ({BUSY} x r)" in OPERATIONS


@pytest.mark.parametrize(("kind", "mode"), WORST_OF_KIND.items())
def test_no_decoder_takes_more_memory_for_a_pixel_than_is_reckoned_with(kind: str, mode: str, tmp_path: Path):
    for side in (64, SIDE):
        Image.new(mode, (side, side)).save(tmp_path / str(side), kind, exif=TURNED, progressive=True)
    ran = subprocess.run(
        [sys.executable, "-c", PEAK, tmp_path], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert 0 < round(float(ran.stdout) / SIDE**2) <= PIXEL_BYTES
