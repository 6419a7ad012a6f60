"""The docs say all there is: a setting, code, metric, route or command that is not in the reference fails here."""

import re
from functools import cache
from pathlib import Path

import httpx
import pytest
import yaml
from pydantic import BaseModel

import hangtag
from artifact import errors
from artifact.card import InputSpec, Resize
from artifact.models import command as models_command
from benchmarks.command import BENCHMARKS
from catalog import kinds
from catalog.command import ClassifyOptions
from catalog.rows import SCHEMA
from service import problems
from service.keys import command as keys_command
from service.metrics import COMPARISONS, DECISIONS, ENDS, KEY_OUTCOMES, LOADS, OUTCOMES, REASONS, STAGES
from service.settings import Settings
from support import ROOT, Service
from training.recipe import (
    AugmentationSection,
    Baseline,
    CalibrationSection,
    DataSection,
    HeadSection,
    PlainNetwork,
    Recipe,
    ResidualNetwork,
    ScheduleSection,
    TransferNetwork,
    Tried,
)

CLIENTS = (ROOT / "docs" / "clients.md").read_text()
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
REFERENCE = (ROOT / "docs" / "reference.md").read_text()
SOURCES = REFERENCE.split("\n## Sources of a catalogue\n")[1].split("\n## ")[0]
CATALOGUE = REFERENCE.split("\n## Labelling a catalogue\n")[1].split("\n## ")[0]
RECIPES = (ROOT / "docs" / "recipes.md").read_text()
SECTIONS = (
    Recipe,
    DataSection,
    InputSpec,
    Resize,
    ResidualNetwork,
    PlainNetwork,
    TransferNetwork,
    AugmentationSection,
    ScheduleSection,
    HeadSection,
    CalibrationSection,
    Baseline,
    Tried,
)
# Of these, photos in files are refused with PhotoTooLarge, unread.
OF_IMAGES = [kind for kind in errors.ImageError.__subclasses__() if kind is not errors.TooManyBytes]
SUBCOMMANDS = {"models": models_command.SUBCOMMANDS, "keys": keys_command.SUBCOMMANDS}

# What a client can never see: these end a command, a load, a training or a call of the client, not a request.
NOT_OF_REQUESTS = (
    errors.ArtifactError,
    errors.ClientError,
    errors.ProviderUnavailable,
    errors.DataError,
    errors.RecipeError,
    errors.ExportError,
    errors.CatalogError,
    errors.MemoryShort,
    errors.KeysError,
    errors.ClusterUnavailable,
    errors.OptionInvalid,
    errors.AddressInUse,
    errors.AddressUnavailable,
)


def every(kind: type[errors.HangtagError]) -> list[type[errors.HangtagError]]:
    return [kind, *(below for child in kind.__subclasses__() for below in every(child))]


def raised(kind: type[errors.HangtagError]) -> bool:
    """Whether it is a leaf of the tree that a request can end in."""
    of_requests = not issubclass(kind, NOT_OF_REQUESTS) or kind in problems.STATUSES
    return of_requests and not kind.__subclasses__()


@cache
def headings(page: Path, level: str = "#+") -> dict[str, str]:
    """The headings of a page by their anchors, in order."""
    found = re.findall(rf"^{level} (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-"): heading for heading in found}


def test_every_setting_is_documented_with_its_variable():
    for field in Settings.model_fields:
        assert f"| `--{field.replace('_', '-')}` | `HANGTAG_{field.upper()}` |" in REFERENCE


def test_no_setting_is_documented_that_is_not_there():
    documented = re.findall(r"^\| `--([a-z-]+)` \|", REFERENCE, re.MULTILINE)
    assert {option.replace("-", "_") for option in documented} == Settings.model_fields.keys()


@pytest.mark.parametrize("kind", [kind for kind in every(errors.HangtagError) if raised(kind)])
def test_every_error_code_is_documented_with_its_status(kind: type[errors.HangtagError]):
    assert f"| `{kind.code}` | {problems.status_of(kind(''))} |" in REFERENCE


@pytest.mark.parametrize("kind", every(errors.ClientError)[1:])
def test_every_error_of_the_client_is_documented(kind: type[errors.ClientError]):
    code = "the problem's own" if kind is errors.ProblemAnswered else f"`{kind.code}`"
    assert f"| `{kind.__name__}` | {code} |" in CLIENTS


@pytest.mark.parametrize("kind", [*every(errors.SourceError)[1:], *every(errors.StoreError)[1:]])
def test_every_error_of_a_catalogues_source_is_documented(kind: type[errors.CatalogError]):
    assert f"| `{kind.code}` | " in SOURCES


def test_every_suffix_of_a_catalogue_is_documented():
    for suffix in kinds.PHOTOS | kinds.MANIFESTS | kinds.PACKED_TARS | {kinds.ZIP, kinds.TAR}:
        assert re.search(rf"\{suffix}\b", SOURCES), suffix


def test_every_error_has_a_code_of_its_own_and_stands_in_the_tree():
    kinds = every(errors.HangtagError)
    assert len({kind.code for kind in kinds}) == len(kinds)
    for kind in kinds:
        assert re.search(rf"[─ ]{kind.__name__}\b", errors.__doc__ or ""), kind


def test_every_option_of_classify_is_documented():
    documented = re.findall(r"^\| `--([a-z-]+) [A-Z]+` \|", CATALOGUE, re.MULTILINE)
    assert {option.replace("-", "_") for option in documented} == ClassifyOptions.model_fields.keys() - {"sources"}


def test_every_column_of_a_labelled_catalogue_is_documented():
    table = CATALOGUE.split("| column |")[1].split("\n\n")[0]
    rows = re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE)
    assert [name for row in rows for name in re.findall(r"`(\w+)`", row)] == SCHEMA.names


@pytest.mark.parametrize("kind", [*every(errors.PhotoError)[1:], *OF_IMAGES, errors.InferenceFailed])
def test_every_error_of_a_row_is_documented(kind: type[errors.HangtagError]):
    assert re.search(rf"^\|.*`{kind.code}`.* \|", CATALOGUE, re.MULTILINE)


def test_every_metric_is_documented(service: Service):
    scraped = set(re.findall(r"^# TYPE (\w+) ", httpx.get(f"{service.url}/metrics").text, re.MULTILINE))
    ours = {name for name in scraped if name.startswith(("hangtag_", "http_")) and not name.endswith("_created")}
    documented = set(re.findall(r"^\| `((?:hangtag|http)_\w+)` \|", REFERENCE.split("## Metrics")[1], re.MULTILINE))
    assert ours == documented


@pytest.mark.parametrize("values", [OUTCOMES, REASONS, STAGES, DECISIONS, LOADS, COMPARISONS, KEY_OUTCOMES, ENDS])
def test_every_value_of_a_metrics_label_is_documented(values: tuple[str, ...]):
    for value in values:
        assert re.search(rf"= [^|]*\b{value}\b", REFERENCE)


def test_every_route_is_documented(service: Service):
    for path, operations in httpx.get(f"{service.url}/openapi.json").json()["paths"].items():
        for method in operations:
            assert f"`{method.upper()} {path}`" in REFERENCE


def test_every_command_is_documented():
    for command in hangtag.COMMANDS:
        assert f"`hangtag {command}" in REFERENCE
    for benchmark in BENCHMARKS:
        assert f"`hangtag bench {benchmark}" in REFERENCE
    for command, subcommands in SUBCOMMANDS.items():
        for subcommand in subcommands:
            assert f"`hangtag {command} {subcommand}" in REFERENCE


def test_every_command_that_operations_types_is_there():
    for line in re.findall(r"^    hangtag (.*)$", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE):
        command, *rest = line.split()
        assert command in hangtag.COMMANDS
        assert command not in SUBCOMMANDS or rest[0] in SUBCOMMANDS[command]


def test_operations_say_of_every_setting_when_to_touch_it():
    rows = re.findall(r"^\| (`--.*?) \|", OPERATIONS.split("\n## Settings\n")[1], re.MULTILINE)
    options = [option for row in rows for option in re.findall(r"`--([a-z-]+)`", row)]
    assert sorted(option.replace("-", "_") for option in options) == sorted(Settings.model_fields)


def test_operations_say_every_option_of_the_service_on_ray():
    program = (ROOT / "deploy" / "ray" / "online.py").read_text()
    options = re.findall(r"^    (\w+): \w+ = Field\(", program, re.MULTILINE)
    section = OPERATIONS.split("\n## On Ray Serve\n")[1].split("\n## ")[0]
    assert options
    for option in options:
        assert re.search(rf"^\| [^|]*`--{option.replace('_', '-')}`", section, re.MULTILINE), option


def test_every_alert_has_a_heading_in_operations():
    files = [yaml.safe_load(path.read_text()) for path in ROOT.glob("deploy/prometheus/rules/*.yml")]
    alerts = {rule["alert"] for file in files for group in file["groups"] for rule in group["rules"] if "alert" in rule}
    assert alerts <= {*headings(ROOT / "docs" / "operations.md").values()}


def test_the_contents_of_operations_are_its_sections():
    contents = re.findall(r"^- \[(.*)\]\(#(.*)\)$", OPERATIONS, re.MULTILINE)
    assert contents == [
        (heading, anchor) for anchor, heading in headings(ROOT / "docs" / "operations.md", "##").items()
    ]


def test_everything_that_operations_name_in_deploy_is_there():
    for path in re.findall(r"\bdeploy/[\w./-]*\w", OPERATIONS):
        assert (ROOT / path).exists(), path


def test_the_docs_link_only_to_what_is_there():
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
        for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text()):
            named = page.parent / target if target else page
            assert anchor in headings(named), f"{page.name} links to {target}#{anchor}"


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__)
def test_every_key_of_a_recipe_is_documented(section: type[BaseModel]):
    for key in section.model_fields:
        assert re.search(rf"`([a-z]+\.)?{key}[.`]|\[{key}\]", RECIPES), key
