"""What the server answers, as OpenAPI describes it."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from retrieval.spec.readable import readable
from retrieval.web.facets import Facets, Folder
from retrieval.web.indexing import IndexingState
from retrieval.web.photos import CataloguedPhoto
from retrieval.web.searching import Page
from retrieval.web.times import clock_time

FolderId = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$", examples=["0f3a5c1de2b49786"])]
PhotoId = Annotated[int, Field(ge=1, le=2**63 - 1, examples=[7])]


class Answer(BaseModel):
    """Base of all answers."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Refusal(Answer):
    """Why a request was not done."""

    detail: str = Field(examples=["there is no such photo in this library"])


class Health(Answer):
    """That the server runs."""

    status: str = Field(examples=["ok"])


class Session(Answer):
    """Whether this browser may see the libraries."""

    needs_token: bool = Field(description="Whether a token protects this server.")
    is_open: bool = Field(description="Whether this browser has shown it, or needs none.")


class Indexing(Answer):
    """How far indexing has come."""

    running: bool
    stopping: bool
    folder: str | None = Field(examples=["Pictures"])
    done: int
    total: int = Field(description="Photos to read in this folder; 0 while they are listed.")
    skipped: int
    added: int
    error: str | None

    @classmethod
    def of(cls, state: IndexingState) -> "Indexing":
        """The answer for a state."""
        return cls.model_validate(
            {name: getattr(state, name) for name in IndexingState.__dataclass_fields__}
        )


class Library(Answer):
    """One library of this server."""

    name: str = Field(examples=["photos"])
    model: str = Field(examples=["leanclip-flickr8k"])
    photos: int = Field(description="Photos that can be found.", examples=[2600])
    indexing: Indexing


class FolderChoice(Answer):
    """A folder that photos can be filtered by."""

    id: FolderId
    label: str = Field(examples=["Holiday in Spain"])
    depth: int = Field(description="0 for a folder that was indexed itself.")
    photos: int

    @classmethod
    def of(cls, folder: Folder) -> "FolderChoice":
        """The answer for a folder; its path stays here."""
        return cls(id=folder.id, label=folder.label, depth=folder.depth, photos=folder.photos)


class Choice(Answer):
    """A value that photos can be filtered by."""

    value: str = Field(examples=["jpg"])
    photos: int


class Choices(Answer):
    """What the photos of a library can be filtered by."""

    folders: list[FolderChoice]
    types: list[Choice]
    cameras: list[Choice]
    first: str | None = Field(description="Date of the oldest photo.", examples=["2004-07-01"])
    last: str | None = Field(description="Date of the newest photo.", examples=["2026-11-21"])
    places: int = Field(description="Photos that say where they were taken.")

    @classmethod
    def of(cls, facets: Facets) -> "Choices":
        """The answer for what was counted."""
        return cls(
            folders=[FolderChoice.of(folder) for folder in facets.folders],
            types=[Choice(value=value, photos=n) for value, n in facets.types.items()],
            cameras=[
                Choice(value=readable(value), photos=n) for value, n in facets.cameras.items()
            ],
            first=None if facets.first is None else clock_time(facets.first)[:10],
            last=None if facets.last is None else clock_time(facets.last)[:10],
            places=facets.places,
        )


class Skipped(Answer):
    """A file that cannot be searched."""

    path: str = Field(examples=["/home/ada/Pictures/broken.jpg"])
    why: str = Field(examples=["is empty (0 bytes)"])


class PhotoCard(Answer):
    """A photo as the grid needs it."""

    id: PhotoId
    version: str = Field(description="Changes with the file.", examples=["9f0c4ab1d2e3"])
    name: str = Field(examples=["beach.jpg"])
    width: int | None = Field(description="Pixels, upright.", examples=[4032])
    height: int | None = Field(examples=[3024])
    date: str = Field(
        description="What the camera's clock showed, else when the file was last changed.",
        examples=["2024-06-01T18:30:00"],
    )
    is_video: bool
    duration_ms: int | None = Field(description="Of a video that says how long it is.")
    moment_ms: int | None = Field(description="The moment of a video that was found.")
    score: float | None = Field(
        description="Cosine of query and photo; comparable within one answer only.",
        examples=[0.274],
    )


class Photos(Answer):
    """Part of an answer."""

    photos: list[PhotoCard]
    next: int | None = Field(description="`offset` of what follows; null at the end.")
    total: int | None = Field(description="How many match, where photos are only filtered.")

    @classmethod
    def of(cls, page: Page) -> "Photos":
        """The answer for a page."""
        cards = [card(one.photo, one.score, one.moment_ms) for one in page.photos]
        return cls(photos=cards, next=page.next, total=page.total)


class PhotoDetails(PhotoCard):
    """Everything that is known of a photo."""

    path: str = Field(examples=["/home/ada/Pictures/beach.jpg"])
    type: str = Field(examples=["jpg"])
    bytes: int = Field(examples=[2480113])
    modified: str = Field(examples=["2024-06-02T09:12:44"])
    taken: str | None = Field(examples=["2024-06-01T18:30:00"])
    camera: str | None = Field(examples=["FUJIFILM X100V"])
    latitude: float | None = Field(examples=[43.3183])
    longitude: float | None = Field(examples=[-1.9812])
    is_there: bool = Field(description="Whether the file still is the one that was indexed.")

    @classmethod
    def of(cls, photo: CataloguedPhoto) -> "PhotoDetails":
        """The answer for a photo."""
        return cls(
            **card(photo).model_dump(),
            path=readable(photo.path),
            type=readable(photo.path.suffix[1:].lower()),
            bytes=photo.size,
            modified=clock_time(photo.mtime_ns // 1_000_000_000, is_local=True),
            taken=None if photo.taken_at is None else clock_time(photo.taken_at),
            camera=None if photo.camera is None else readable(photo.camera),
            latitude=photo.latitude,
            longitude=photo.longitude,
            is_there=photo.is_there(),
        )


class Example(Answer):
    """A photo that was uploaded to search with."""

    example: str = Field(examples=["kq3v9Zr0m1T8yXw2_B5dNg"])


class WantedFolders(Answer):
    """Folders to bring up to date; none means all that are known."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"folders": []}]})
    folders: list[FolderId] = Field(default=[], max_length=1000)


class WantedPhotos(Answer):
    """Photos to download."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"photos": [7, 12]}]})
    photos: list[PhotoId] = Field(min_length=1, max_length=5000)


class Selection(Answer):
    """Photos that can be downloaded as one file."""

    selection: str = Field(examples=["hT0cV6x2bJq1sW9e_RkLpA"])
    photos: int
    bytes: int = Field(description="Of the photos together.")


def card(
    photo: CataloguedPhoto, score: float | None = None, moment_ms: int | None = None
) -> PhotoCard:
    """A photo as the grid needs it."""
    return PhotoCard(
        id=photo.id,
        version=photo.version,
        name=readable(photo.path.name),
        width=photo.width,
        height=photo.height,
        date=clock_time(photo.dated),
        is_video=photo.is_video,
        duration_ms=photo.duration_ms,
        moment_ms=moment_ms,
        score=None if score is None else round(score, 6),
    )
