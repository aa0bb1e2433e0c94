"""The data sets that leanclip knows: sizes, terms, addresses and hashes.

The hashes are those that TensorFlow Datasets publishes for the same addresses
(``tensorflow_datasets/url_checksums/coco_captions.txt``). Sizes of the splits are those of
Karpathy and Fei-Fei, "Deep visual-semantic alignments" (CVPR 2015). ``data/cards`` says the
same for people.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final


@dataclass(frozen=True, slots=True)
class Source:
    """A file at a public address."""

    url: str
    bytes: int
    sha256: str

    @property
    def name(self) -> str:
        """The file's own name."""
        return PurePosixPath(self.url).name


@dataclass(frozen=True, slots=True)
class Split:
    """How much is in one part of a data set."""

    photos: int
    captions: int


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set of captioned photos in Karpathy's split."""

    name: str
    title: str
    terms: tuple[str, ...]
    """What whoever downloads it agrees to, a sentence each."""
    page: str
    """Where it is described and its terms are stated."""
    captions: Source
    """The archive with Karpathy's split and captions."""
    member: str
    """The file of this data set in that archive."""
    splits: Mapping[str, Split]
    photo_size: tuple[int, int]
    """Width and height of an ordinary photo, in pixels."""
    photo_bytes: int
    """Bytes of an ordinary photo."""
    words: int
    """Words of an ordinary caption."""
    archives: tuple[Source, ...] = ()
    """Photos that anybody may download."""
    others: tuple[Source, ...] = field(default=())
    """The same photos in other archives, which are taken when somebody has them already."""
    form: str | None = None
    """Where to ask for the photos, when nobody may download them without asking."""

    @property
    def photos(self) -> int:
        """Photos of all splits."""
        return sum(split.photos for split in self.splits.values())


_CAPTIONS: Final = Source(
    "https://cs.stanford.edu/people/karpathy/deepimagesent/caption_datasets.zip",
    36_745_453,
    "4cfd70132527b80933105e5829dc9034eaab9573482e2e680abbab6130244817",
)
# The bucket's certificate does not carry this name, so there is no https; the hashes decide.
_COCO: Final = "http://images.cocodataset.org/zips"

COCO: Final = Dataset(
    name="coco",
    title="MS COCO 2014 with captions",
    terms=(
        "Captions: Creative Commons Attribution 4.0, by the COCO Consortium.",
        "Photos: they belong to their Flickr authors; use must abide by Flickr's terms of use.",
    ),
    page="https://cocodataset.org/#termsofuse",
    captions=_CAPTIONS,
    member="dataset_coco.json",
    splits={
        "train": Split(113_287, 566_747),
        "dev": Split(5_000, 25_010),
        "test": Split(5_000, 25_010),
    },
    photo_size=(640, 480),
    photo_bytes=163_000,
    words=10,
    archives=(
        Source(
            f"{_COCO}/train2014.zip",
            13_510_573_713,
            "ede4087e640bddba550e090eae701092534b554b42b05ac33f0300b984b31775",
        ),
        Source(
            f"{_COCO}/val2014.zip",
            6_645_013_297,
            "fe9be816052049c34717e077d9e34aa60814a55679f804cd043e3cbee3b9fde0",
        ),
    ),
    others=(
        Source(
            f"{_COCO}/train2017.zip",
            19_336_861_798,
            "69a8bb58ea5f8f99d24875f21416de2e9ded3178e903f1f7603e283b9e06d929",
        ),
        Source(
            f"{_COCO}/val2017.zip",
            815_585_330,
            "4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05",
        ),
    ),
)

FLICKR30K: Final = Dataset(
    name="flickr30k",
    title="Flickr30k",
    terms=(
        "Photos: they belong to their Flickr authors; use must abide by Flickr's terms of use.",
        "Photos and captions: for non-commercial research and education only.",
    ),
    page="https://shannon.cs.illinois.edu/DenotationGraph/",
    captions=_CAPTIONS,
    member="dataset_flickr30k.json",
    splits={
        "train": Split(29_000, 145_000),
        "dev": Split(1_014, 5_070),
        "test": Split(1_000, 5_000),
    },
    photo_size=(500, 375),
    photo_bytes=140_000,
    words=12,
    form="https://shannon.cs.illinois.edu/DenotationGraph/",
)

DATASETS: Final[Mapping[str, Dataset]] = {one.name: one for one in (COCO, FLICKR30K)}
