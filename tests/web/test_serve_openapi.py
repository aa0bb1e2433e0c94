"""The server against its own description, by inputs that schemathesis makes up."""

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from starlette.testclient import TestClient

from retrieval.search.indexing import IndexReport
from retrieval.search.library import Library
from tests.web.web_shelf import ADDRESS

EXAMPLES = 10


@pytest.fixture(scope="module")
def described(client: TestClient) -> Iterator[schemathesis.BaseSchema]:
    schema = schemathesis.openapi.from_dict(client.get("/api/openapi.json").json())
    with pytest.MonkeyPatch.context() as patch:
        # A made-up request may start indexing; other tests have damaged some of the photos.
        patch.setattr(
            Library, "ensure_index", lambda *_, **__: IndexReport(0, 0, 0, 0, [], seconds=0.1)
        )
        # The answer of the events has no end; test_serve_indexing reads it.
        yield schema.exclude(path_regex="/events$")


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode))
def test_every_route_does_what_it_says(
    client: TestClient, described: schemathesis.BaseSchema, mode: schemathesis.GenerationMode
):
    tried = set()
    for found in described.get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def holds(case: schemathesis.Case) -> None:
            # Through the client whose server runs: another one would end it.
            request = case.as_transport_kwargs(base_url=ADDRESS)
            if isinstance(request.get("data"), bytes):
                request["content"] = request.pop("data")
            request.pop("cookies", None)
            case.validate_response(client.request(**request))
            tried.add(case.operation.label)

        try:
            holds()
        except Unsatisfiable:
            # A route that takes nothing cannot be asked wrongly.
            continue
    assert len(tried) >= 8


def test_every_route_is_described_with_its_refusals(client: TestClient):
    paths = client.get("/api/openapi.json").json()["paths"]
    for path, routes in paths.items():
        for method, route in routes.items():
            assert route["description"] or route["summary"], (method, path)
            assert {"401", "403"} <= set(route["responses"]), (method, path)
