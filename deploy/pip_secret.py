# ruff: noqa: INP001 - deploy/ is no package, and this is run by image-check.sh alone
"""Makes of `pip config list` what the image's build needs to install from the same places.

usage: pip config list | pip_secret.py FOLDER

It writes into FOLDER: pip.conf, for the build to mount as a secret; ca.pem, where the configuration names certificates;
and folders, the local folders that it names, one per line.
"""

import ast
import re
import shutil
import sys
from pathlib import Path

CERTIFICATES = "/run/secrets/ca.pem"  # where the Dockerfile mounts them
PLACES = (
    "index-url",
    "extra-index-url",
    "find-links",
    "no-index",
    "trusted-host",
    "proxy",
    "timeout",
    "default-timeout",
)
LINE = re.compile(r"(?P<section>[\w:]+)\.(?P<key>[\w.-]+)=(?P<value>['\"].*['\"])")
ORDER = ("global", "install", ":env:")  # the last one wins, as it does in pip


def settings(listing: str) -> dict[str, str]:
    """The settings that `pip install` would obey, of all that are listed."""
    found = [match for line in listing.splitlines() if (match := LINE.fullmatch(line)) and match["section"] in ORDER]
    found.sort(key=lambda match: ORDER.index(match["section"]))
    return {match["key"].lstrip("."): str(ast.literal_eval(match["value"])) for match in found}


def local_folders(values: list[str]) -> list[str]:
    """The folders that index addresses and link lists name; of a package index the folder above it, with its files."""
    folders = []
    for place in " ".join(values).split():
        path = Path(place.removeprefix("file://"))
        if path.is_absolute() and path.is_dir():
            folders.append(str(path.parent if place.rstrip("/").endswith("/simple") else path))
    return sorted(set(folders))


def main(folder: Path) -> None:
    """Write the three files."""
    given = settings(sys.stdin.read())
    wanted = {key: value for key, value in given.items() if key in PLACES}
    certificates = Path(given.get("cert", ""))
    if certificates.is_file():
        shutil.copyfile(certificates, folder / "ca.pem")
        wanted["cert"] = CERTIFICATES
    lines = [f"{key} = {' '.join(value.split())}\n" for key, value in wanted.items()]
    (folder / "pip.conf").write_text("[global]\n" + "".join(lines), encoding="utf-8")
    folders = local_folders([wanted.get(key, "") for key in ("index-url", "extra-index-url", "find-links")])
    (folder / "folders").write_text("".join(f"{path}\n" for path in folders), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
