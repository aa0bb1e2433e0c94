from collections.abc import Iterator
from http.client import HTTPMessage
from io import BytesIO
from pathlib import Path
from urllib.request import Request

import pytest

from retrieval.transfer.errors import AbsentError, TransferError
from retrieval.transfer.transfer import ATTEMPTS, SafeRedirects, transfer
from tests.fixtures.range_server import RangeServer, range_server

CONTENT = bytes(range(256)) * 40
NAME = "file.bin"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RangeServer]:
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / NAME).write_bytes(CONTENT)
    with range_server(folder) as running:
        yield running


def bring(server: RangeServer, target: Path, most: int = len(CONTENT), exact: bool = True) -> None:
    transfer(f"{server.address}/{NAME}", target, most=most, exact=exact, pause=0.001)


def test_a_line_that_moves_is_not_given_up(server: RangeServer, tmp_path: Path) -> None:
    server.breaks = {NAME: [10] * (3 * ATTEMPTS)}
    bring(server, tmp_path / NAME)
    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_a_server_without_ranges_starts_again(server: RangeServer, tmp_path: Path) -> None:
    server.knows_ranges = False
    server.breaks = {NAME: [1000]}
    bring(server, tmp_path / NAME)
    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_a_server_that_always_starts_again_and_breaks_is_given_up(
    server: RangeServer, tmp_path: Path
) -> None:
    server.knows_ranges = False
    server.breaks = {NAME: [1000, 10] * ATTEMPTS}
    with pytest.raises(TransferError, match="ended early; .* run it again"):
        bring(server, tmp_path / NAME)
    assert len(server.asked) == ATTEMPTS + 1


def test_another_part_than_was_asked_for_is_not_mixed_in(
    server: RangeServer, tmp_path: Path
) -> None:
    server.breaks = {NAME: [1000]}
    server.shift = 7
    bring(server, tmp_path / NAME)
    assert (tmp_path / NAME).read_bytes() == CONTENT
    assert [wanted for _, wanted in server.asked] == [None, "bytes=1000-", None]


def test_a_server_that_breaks_and_sends_other_parts_is_given_up(
    server: RangeServer, tmp_path: Path
) -> None:
    server.breaks = {NAME: [1000] * (3 * ATTEMPTS)}
    server.shift = 7
    with pytest.raises(TransferError, match="run it again"):
        bring(server, tmp_path / NAME)


def test_what_is_there_as_a_whole_is_not_asked_for(server: RangeServer, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(CONTENT)
    bring(server, tmp_path / NAME)
    assert server.asked == []


def test_the_whole_of_a_file_of_unknown_length_is_known_by_the_server(
    server: RangeServer, tmp_path: Path
) -> None:
    (tmp_path / NAME).write_bytes(CONTENT)
    bring(server, tmp_path / NAME, most=10**6, exact=False)
    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_what_is_longer_than_the_file_can_be_is_brought_anew(
    server: RangeServer, tmp_path: Path
) -> None:
    (tmp_path / NAME).write_bytes(b"x" * (len(CONTENT) + 1))
    bring(server, tmp_path / NAME)
    assert (tmp_path / NAME).read_bytes() == CONTENT


@pytest.mark.parametrize(("change", "than"), [(-1, "more"), (1, "fewer")])
def test_a_file_of_another_length_is_refused_and_not_kept(
    server: RangeServer, tmp_path: Path, change: int, than: str
) -> None:
    with pytest.raises(TransferError, match=f"has {than} than the .* it is another file"):
        bring(server, tmp_path / NAME, most=len(CONTENT) + change)
    assert not (tmp_path / NAME).exists()


def test_a_missing_file_is_told_from_a_refusal(server: RangeServer, tmp_path: Path) -> None:
    server.answers = {NAME: [404, 403]}
    with pytest.raises(AbsentError, match="404"):
        bring(server, tmp_path / NAME)
    with pytest.raises(TransferError, match=r"403 .*behind a login") as refusal:
        bring(server, tmp_path / NAME)
    assert not isinstance(refusal.value, AbsentError)
    assert len(server.asked) == 2


def test_a_redirect_never_leaves_https() -> None:
    def follow(start: str, end: str) -> Request | None:
        request = Request(start)
        return SafeRedirects().redirect_request(
            request, BytesIO(), 302, "Found", HTTPMessage(), end
        )

    assert follow("https://one.example/x", "https://two.example/x") is not None
    assert follow("http://one.example/x", "https://two.example/x") is not None
    with pytest.raises(TransferError, match="is not https"):
        follow("https://one.example/x", "http://two.example/x")
