"""What is scraped is what prometheus_client would write, to the letter, each time."""

import pytest
from prometheus_client.exposition import choose_encoder

from service.exposition import Exposition
from service.metrics import Metrics
from service.model_metrics import ModelMetrics

ACCEPTS = ("", "application/openmetrics-text;version=1.0.0", "text/plain;version=1.0.0;escaping=allow-utf-8")
ODD = ('so "called"', "two\nlines", "back\\slash", "a\u2028separator\x85or two", "# comment 1", "", "long " * 50)


@pytest.mark.parametrize("accept", ACCEPTS)
def test_every_scrape_is_as_prometheus_client_writes_it(accept: str):
    metrics = Metrics("1")
    for collector in [each for each in metrics.registry._collector_to_names if type(each).__name__ == "Processes"]:
        metrics.registry.unregister(collector)  # which says something else each time
    exposition, (encode, content_type) = Exposition(metrics.registry), choose_encoder(accept)
    assert exposition.text(accept) == (encode(metrics.registry), content_type)
    model = ModelMetrics(metrics, "tiny", "1")
    model.loaded("sha256:0", ODD)
    for images, seconds in ((1, 0.0001), (10**6, 0.1 + 0.2), (10**21, 1e-7), (1, float("inf"))):
        model.outcome("ok", images)
        model.waited(seconds)
        assert exposition.text(accept) == (encode(metrics.registry), content_type)
    metrics.expect("GET", "/new", [200])
    assert exposition.text(accept) == (encode(metrics.registry), content_type)


def test_scrapers_of_several_formats_each_get_theirs():
    exposition = Exposition(Metrics("1").registry)
    for _ in range(2):
        for accept in ACCEPTS:
            text, content_type = exposition.text(accept)
            assert content_type == choose_encoder(accept)[1]
            assert text.endswith(b"# EOF\n") == ("openmetrics" in accept)
