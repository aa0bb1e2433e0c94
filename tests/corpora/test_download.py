import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from retrieval.corpora.fetch.datasets import Source
from retrieval.corpora.fetch.download import PART, download
from retrieval.spec.errors import CorpusError
from retrieval.transfer.transfer import ATTEMPTS
from tests.fixtures.range_server import RangeServer, range_server

CONTENT = bytes(range(256)) * 400


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RangeServer]:
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "photos.zip").write_bytes(CONTENT)
    with range_server(folder) as running:
        yield running


def source_of(server: RangeServer, **changes: object) -> Source:
    values = {
        "url": f"{server.address}/photos.zip",
        "bytes": len(CONTENT),
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
        **changes,
    }
    return Source(**values)  # type: ignore[arg-type]


def bring(source: Source, target: Path) -> list[int]:
    seen: list[int] = []
    download(source, target, progress=seen.append, pause=0.001)
    return seen


def test_a_file_arrives_whole_and_nothing_else_is_left(server: RangeServer, tmp_path: Path) -> None:
    target = tmp_path / "here" / "photos.zip"
    seen = bring(source_of(server), target)
    assert target.read_bytes() == CONTENT
    assert seen[-1] == len(CONTENT)
    assert list(target.parent.iterdir()) == [target]


def test_a_broken_connection_goes_on_where_it_broke(server: RangeServer, tmp_path: Path) -> None:
    server.breaks = {"photos.zip": [1000, 5000]}
    bring(source_of(server), tmp_path / "photos.zip")
    assert (tmp_path / "photos.zip").read_bytes() == CONTENT
    assert [wanted for _, wanted in server.asked] == [None, "bytes=1000-", "bytes=6000-"]


def test_a_download_that_was_stopped_goes_on_in_the_next_run(
    server: RangeServer, tmp_path: Path
) -> None:
    target = tmp_path / "photos.zip"
    server.breaks = {"photos.zip": [50] + [0] * ATTEMPTS}
    with pytest.raises(CorpusError, match=r"ended early; 50 of 102,400 bytes are kept in .*go on"):
        bring(source_of(server), target)
    assert not target.exists()
    bring(source_of(server), target)
    assert target.read_bytes() == CONTENT
    assert server.asked[-1] == ("/photos.zip", "bytes=50-")


def test_a_wrong_hash_is_refused_and_not_kept(server: RangeServer, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="should have 0000.*removed"):
        bring(source_of(server, sha256="0" * 64), tmp_path / "photos.zip")
    assert not list(tmp_path.glob("photos*"))


def test_a_longer_file_is_another_file(server: RangeServer, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="it is another file"):
        bring(source_of(server, bytes=1000), tmp_path / "photos.zip")


def test_a_missing_file_is_not_asked_for_twice(server: RangeServer, tmp_path: Path) -> None:
    source = source_of(server, url=f"{server.address}/gone.zip")
    with pytest.raises(CorpusError, match="the server answers 404"):
        bring(source, tmp_path / "gone.zip")
    assert len(server.asked) == 1


def test_no_route_is_one_line(server: RangeServer, tmp_path: Path) -> None:
    source = source_of(server)
    server.shutdown()
    server.server_close()
    with pytest.raises(CorpusError, match=r"no connection .* run it again") as caught:
        bring(source, tmp_path / "photos.zip")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "photos.zip").exists()


def test_a_full_disk_is_seen_before_the_download(server: RangeServer, tmp_path: Path) -> None:
    source = source_of(server, bytes=10**18)
    with pytest.raises(CorpusError, match="needs another 1000000000.0 GB, and .* GB are free"):
        bring(source, tmp_path / "photos.zip")
    assert not server.asked


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_disk_that_fills_up_is_one_line(server: RangeServer, tmp_path: Path) -> None:
    target = tmp_path / "photos.zip"
    target.with_name(target.name + PART).symlink_to("/dev/full")
    with pytest.raises(CorpusError, match="No space left on device; once that is mended"):
        bring(source_of(server), target)
    assert not target.exists()
