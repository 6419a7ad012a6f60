"""Every published version of a model, and the figures of its report, as the service tells of them."""

from pathlib import Path

import httpx

import hangtag
from support import ROOT, Service, card, code, publish


def test_every_version_is_listed_with_its_labels_and_what_its_card_says(shelf: Path):
    publish(shelf, card(version="4"))
    (shelf / "tiny" / "4" / "card.json").write_text("{}")
    assert hangtag.main(["models", "label", "tiny", "stable", "2", "--models", str(shelf)]) == 0
    with Service(shelf) as running:
        versions = httpx.get(f"{running.url}/v1/models/tiny/versions").json()["versions"]
        assert code(httpx.get(f"{running.url}/v1/models/nothing/versions")) == (404, "model_not_found")
    assert [each["version"] for each in versions] == ["4", "3", "2", "1"]
    assert [each["labels"] for each in versions] == [[], [], ["stable"], []]
    assert versions[0] == {"version": "4", "labels": []} | dict.fromkeys(
        ("created", "precision", "model_bytes", "test")
    )
    assert (versions[1]["precision"], versions[1]["created"]) == ("float32", "2026-01-01T00:00:00Z")
    assert versions[1]["test"]["accuracy_interval"] == [0.44, 1.0]


def test_the_figures_of_a_report_come_as_they_were_published(service: Service, tmp_path: Path):
    (tmp_path / "closet").symlink_to(ROOT / "models" / "closet")
    with Service(tmp_path) as running:
        url = f"{running.url}/v1/models/closet/figures"
        response = httpx.get(url)
        newest = max((ROOT / "models" / "closet").iterdir(), key=lambda folder: int(folder.name))
        assert response.content == (newest / "report" / "metrics.json").read_bytes()
        assert response.headers["content-type"] == "application/json"
        assert httpx.get(url, headers={"If-None-Match": response.headers["etag"]}).status_code == 304
    assert code(httpx.get(f"{service.url}/v1/models/tiny/figures")) == (404, "report_not_found")
