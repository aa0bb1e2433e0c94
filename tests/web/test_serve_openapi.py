"""The server against its own description, by inputs that schemathesis makes up."""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from starlette.testclient import TestClient

EXAMPLES = 12

schema = schemathesis.pytest.from_fixture("described")


@pytest.fixture(scope="session")
def described(client: TestClient):
    loaded = schemathesis.openapi.from_asgi(
        "/api/openapi.json", client.app, base_url=str(client.base_url)
    )
    # Its answer has no end; test_serve_indexing reads it.
    return loaded.exclude(path_regex="/events$")


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_route_does_what_it_says(case):
    case.call_and_validate(headers={"Host": "127.0.0.1:8765"})


def test_every_route_is_described_with_its_refusals(client: TestClient):
    paths = client.get("/api/openapi.json").json()["paths"]
    for path, routes in paths.items():
        for method, route in routes.items():
            assert route["description"] or route["summary"], (method, path)
            assert {"401", "403"} <= set(route["responses"]), (method, path)
