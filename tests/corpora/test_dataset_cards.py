"""The cards that people read say what the code knows."""

from pathlib import Path

import pytest

from retrieval.corpora.fetch.datasets import DATASETS, Dataset

CARDS = Path(__file__).parents[2] / "data" / "cards"


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=lambda one: one.name)
def test_a_card_gives_sizes_addresses_and_hashes(dataset: Dataset) -> None:
    card = (CARDS / f"{dataset.name}.md").read_text("utf-8")
    for source in (dataset.captions, *dataset.archives):
        assert f"| <{source.url}> | {source.bytes:,} | `{source.sha256}` |" in card
    for name, split in dataset.splits.items():
        assert f"| {split.photos:,} | {split.captions:,} | `{name}.jsonl` |" in card
    assert f"{dataset.photos:,} photos" in card
    assert dataset.page in card
    if dataset.form is not None:
        assert f"<{dataset.form}>" in card
