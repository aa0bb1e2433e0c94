import dataclasses
import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from retrieval.compress.loop.reporter import SilentReporter
from retrieval.corpora.fetch import datasets
from retrieval.corpora.fetch.datasets import COCO, FLICKR30K, Dataset, Source, Split
from retrieval.corpora.fetch.run import ARCHIVES, NOTE, Fetched, fetch_dataset
from retrieval.corpora.pairs import read_pairs
from retrieval.spec.errors import CorpusError
from tests.fixtures.range_server import RangeServer, range_server

SPLITS = {"train": Split(3, 6), "dev": Split(1, 2), "test": Split(1, 2)}


def image(split: str, number: int, **more: Any) -> dict[str, Any]:
    captions = [{"raw": f" A dog\n number {number}. "}, {"raw": "A cat."}, {"raw": "  "}]
    return {"split": split, "sentences": captions, **more}


def coco_image(split: str, number: int, year: str) -> dict[str, Any]:
    name = f"COCO_{year}_{number:012}.jpg"
    return image(split, number, filename=name, filepath=year, cocoid=number)


COCO_IMAGES = [
    coco_image("train", 1, "train2014"),
    coco_image("train", 2, "train2014"),
    coco_image("restval", 3, "val2014"),
    coco_image("val", 4, "val2014"),
    coco_image("test", 5, "val2014"),
]
FLICKR_IMAGES = [
    image(split, number, filename=f"{number}.jpg")
    for number, split in enumerate(["train", "train", "train", "val", "test"], start=1)
]


def write_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    return path


def source_of(path: Path, address: str) -> Source:
    content = path.read_bytes()
    return Source(f"{address}/{path.name}", len(content), hashlib.sha256(content).hexdigest())


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RangeServer]:
    folder = tmp_path / "served"
    folder.mkdir()
    captions = {
        "__MACOSX/._dataset_coco.json": b"junk",
        "dataset_coco.json": json.dumps({"images": COCO_IMAGES}).encode(),
        "dataset_flickr30k.json": json.dumps({"images": FLICKR_IMAGES}).encode(),
    }
    write_zip(folder / "caption_datasets.zip", captions)
    for year in ("train2014", "val2014"):
        names = [one["filename"] for one in COCO_IMAGES if one["filepath"] == year]
        photos = {f"{year}/{name}": name.encode() * 50 for name in names}
        write_zip(folder / f"{year}.zip", photos | {f"{year}/not_in_the_split.jpg": b"x"})
    with range_server(folder) as running:
        yield running


@pytest.fixture
def coco(server: RangeServer) -> Dataset:
    served = server.folder
    return dataclasses.replace(
        COCO,
        splits=SPLITS,
        captions=source_of(served / "caption_datasets.zip", server.address),
        archives=tuple(
            source_of(served / f"{year}.zip", server.address) for year in ("train2014", "val2014")
        ),
        others=(),
    )


@pytest.fixture
def flickr30k(server: RangeServer) -> Dataset:
    captions = source_of(server.folder / "caption_datasets.zip", server.address)
    return dataclasses.replace(FLICKR30K, splits=SPLITS, captions=captions)


def fetch(dataset: Dataset, folder: Path, *archives: Path) -> Fetched:
    return fetch_dataset(dataset, folder, archives=archives, reporter=SilentReporter())


def test_coco_becomes_pairs_in_karpathys_split(coco: Dataset, tmp_path: Path) -> None:
    folder = tmp_path / "coco"
    fetched = fetch(coco, folder)
    train = read_pairs(fetched.pairs["train"])
    assert [pair.image.name[-8:] for pair in train] == ["0001.jpg", "0002.jpg", "0003.jpg"]
    assert train[0].captions == ("A dog number 1.", "A cat.")
    assert len(read_pairs(fetched.pairs["dev"])) == len(read_pairs(fetched.pairs["test"])) == 1
    assert not list(folder.rglob("not_in_the_split.jpg"))
    assert not list(folder.rglob("*.part"))


def test_what_was_fetched_is_noted_with_its_terms(coco: Dataset, tmp_path: Path) -> None:
    fetch(coco, tmp_path)
    note = json.loads((tmp_path / NOTE).read_text("utf-8"))
    assert note["terms"] == list(COCO.terms)
    assert set(note["files"]) == {"caption_datasets.zip", "train2014.zip", "val2014.zip"}
    assert note["files"]["train2014.zip"]["hash"] == "published"


def test_a_second_fetch_downloads_nothing(
    coco: Dataset, server: RangeServer, tmp_path: Path
) -> None:
    fetch(coco, tmp_path / "coco")
    asked = len(server.asked)
    fetch(coco, tmp_path / "coco")
    assert len(server.asked) == asked
    for archive in (tmp_path / "coco" / ARCHIVES).glob("*2014.zip"):
        archive.unlink()
    fetch(coco, tmp_path / "coco")
    assert len(server.asked) == asked


def test_an_archive_that_is_here_is_not_downloaded(
    coco: Dataset, server: RangeServer, tmp_path: Path
) -> None:
    fetch(coco, tmp_path / "coco", server.folder / "train2014.zip")
    assert {path for path, _ in server.asked} == {"/caption_datasets.zip", "/val2014.zip"}


def test_photos_of_2017_serve_as_well(coco: Dataset, server: RangeServer, tmp_path: Path) -> None:
    photos = {f"train2017/{number:012}.jpg": b"photo" for number in range(1, 6)}
    archive = write_zip(tmp_path / "mine.zip", photos)
    fetched = fetch(coco, tmp_path / "coco", archive)
    assert read_pairs(fetched.pairs["dev"])[0].image.parent.name == "train2017"
    assert {path for path, _ in server.asked} == {"/caption_datasets.zip"}


def test_a_known_archive_with_another_hash_is_refused(coco: Dataset, tmp_path: Path) -> None:
    wrong = write_zip(tmp_path / "train2014.zip", {"train2014/x.jpg": b"x"})
    with pytest.raises(CorpusError, match=r"train2014.zip should have \w{64}; download it anew"):
        fetch(coco, tmp_path / "coco", wrong)
    assert wrong.exists()


def test_flickr30k_asks_for_the_photos_that_nobody_may_download(
    flickr30k: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(CorpusError, match=r"ask for them with the form at .* --archive"):
        fetch(flickr30k, tmp_path)
    assert not list(tmp_path.glob("*.jsonl"))


def write_tar(path: Path, prefix: str = "flickr30k-images/") -> Path:
    with tarfile.open(path, "w:gz") as rolled:
        for one in FLICKR_IMAGES:
            member = tarfile.TarInfo(prefix + one["filename"])
            member.size = 100
            rolled.addfile(member, io.BytesIO(b"p" * 100))
    return path


def test_flickr30k_takes_an_archive_and_notes_its_hash(flickr30k: Dataset, tmp_path: Path) -> None:
    archive = write_tar(tmp_path / "flickr30k-images.tar.gz")
    fetched = fetch(flickr30k, tmp_path / "here", archive)
    assert len(read_pairs(fetched.pairs["train"])) == 3
    note = json.loads((tmp_path / "here" / NOTE).read_text("utf-8"))["files"][archive.name]
    assert note["hash"] == "seen first here"
    assert note["sha256"] == hashlib.sha256(archive.read_bytes()).hexdigest()
    archive.write_bytes(archive.read_bytes() + b"\0")
    with pytest.raises(CorpusError, match="that was used before"):
        fetch(flickr30k, tmp_path / "here", archive)


def test_names_that_climb_out_of_the_folder_stay_in_it(flickr30k: Dataset, tmp_path: Path) -> None:
    archive = write_tar(tmp_path / "bad.tar.gz", prefix="../../../")
    fetch(flickr30k, tmp_path / "a" / "b", archive)
    assert not list(tmp_path.glob("*.jpg"))
    assert len(list((tmp_path / "a" / "b" / "images").iterdir())) == 5


def test_a_file_that_is_no_archive_is_refused(flickr30k: Dataset, tmp_path: Path) -> None:
    page = tmp_path / "page.zip"
    page.write_text("<html>please log in</html>", "utf-8")
    with pytest.raises(CorpusError, match="neither a zip nor a tar file"):
        fetch(flickr30k, tmp_path / "here", page)


def test_a_cut_archive_is_refused(flickr30k: Dataset, tmp_path: Path) -> None:
    archive = write_tar(tmp_path / "cut.tar.gz")
    archive.write_bytes(archive.read_bytes()[:-40])
    with pytest.raises(CorpusError, match=r"cut\.tar\.gz"):
        fetch(flickr30k, tmp_path / "here", archive)
    assert not list((tmp_path / "here").rglob("*.part"))


def test_a_split_of_other_sizes_is_not_karpathys(flickr30k: Dataset, tmp_path: Path) -> None:
    larger = dataclasses.replace(flickr30k, splits=SPLITS | {"dev": Split(2, 4)})
    with pytest.raises(CorpusError, match="its dev split has 1 photos and 2 captions"):
        fetch(larger, tmp_path)


def test_the_command_fetches(
    leanclip: Any, coco: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(datasets.DATASETS, "coco", coco)  # type: ignore[arg-type]
    folder = tmp_path / "coco"
    status, output, said = leanclip("fetch", "coco", folder, "--accept-licence", "--json")
    assert status == 0
    assert json.loads(output)["train"] == str(folder / "train.jsonl")
    assert "Creative Commons Attribution 4.0" in said


def test_terms_that_are_not_accepted_fetch_nothing(leanclip: Any, tmp_path: Path) -> None:
    status, output, said = leanclip("fetch", "coco", tmp_path / "coco")
    assert (status, output) == (1, "")
    assert "add --accept-licence" in said
    assert not (tmp_path / "coco").exists()


def test_an_unknown_data_set_is_one_line(leanclip: Any, tmp_path: Path) -> None:
    status, _, said = leanclip("fetch", "imagenet", tmp_path)
    assert status == 1
    assert said == "leanclip: there is no data set 'imagenet'; leanclip fetches coco, flickr30k\n"
