"""The whole way: plan, shards, their places, indexes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from retrieval.bulk.exact import Progress
from retrieval.bulk.folder import OutputFolder, Skipped
from retrieval.bulk.indexing import IndexKind, build_indexes
from retrieval.bulk.plan import Plan, Wishes, open_plan
from retrieval.bulk.tally import Tally
from retrieval.bulk.work import Runner
from retrieval.encode.protocol import Encoder
from retrieval.spec.errors import CorpusError, LeanclipError


class Reporter(Protocol):
    """Shows how far the work is."""

    def begin(self, title: str, total: int, done: int = 0) -> None:
        """Another piece of work begins."""

    def advance(self, done: int, total: int | None = None, note: str = "") -> None:
        """The newest piece of work is so far."""


@dataclass(frozen=True, slots=True)
class EmbedReport:
    """What an output folder holds after a run."""

    photos: int
    """Rows."""
    captions: bool
    """Whether there are as many of sentences."""
    shards: int
    embedded: int
    """Shards that this run embedded."""
    skipped: list[Skipped]
    """Photos without a row, of all shards."""
    newcomers: int
    """Photos that came to the folders since the plan was made, and are not in it."""
    indexes: list[Path]


def embed(
    sources: Sequence[Path],
    out: Path,
    encoder: Encoder,
    runner: Runner,
    reporter: Reporter,
    *,
    wishes: Wishes | None = None,
    index: IndexKind | None = "exact",
) -> EmbedReport:
    """Embed photos into the folder layout of clip-retrieval, or go on with it.

    Args:
        sources: Folders of photos, and tar files by name or brace pattern, in the order in
            which their rows will stand.
        out: The folder, of which `OutputFolder` tells.
        encoder: The model; only asked what it is.
        runner: Where the work is done, with that model.
        reporter: Told how far it is.
        wishes: How, where the user cares.
        index: Which indexes to build at the end; None leaves what is there.

    Raises:
        CacheError: ``out`` belongs to another model or other sources, or is damaged.
        CorpusError: A source is missing or damaged, or no photo could be read. All other
            shards are done by then.
        LeanclipError: A shard cannot be done where the runner works.
        OSError: The disk is full or read-only. What is finished stays.
    """
    folder = OutputFolder(out)
    plan, newcomers = open_plan(folder, sources, encoder, wishes or Wishes())
    embedded = _embed_missing(folder, plan, runner, reporter)
    photos, skipped = _totals(folder, plan)
    if photos == 0:
        first = f", such as {skipped[0].photo}: {skipped[0].why}" if skipped else ""
        raise CorpusError(f"none of the {len(skipped)} photos can be embedded{first}")
    indexes = []
    if index is not None:

        def begin(title: str) -> Progress:
            reporter.begin(title, total=0)
            return reporter.advance

        indexes = build_indexes(folder, plan, index, runner, begin)
    folder.remove_attempts()
    return EmbedReport(
        photos, plan.captions, len(plan.shards), embedded, skipped, newcomers, indexes
    )


def _embed_missing(out: OutputFolder, plan: Plan, runner: Runner, reporter: Reporter) -> int:
    count = len(plan.shards)
    tally = Tally(plan, [out.summary(number) for number in range(count)])
    missing = tally.missing
    # Also what a run left that was killed between a shard's embedding and its publishing.
    for number in range(count):
        out.publish(number, count)
    if not missing:
        return 0
    reporter.begin("embedding", total=tally.total or 0, done=tally.done)

    def advance(number: int, done: int, total: int) -> None:
        tally.count(number, done, total)
        reporter.advance(tally.done, tally.total)

    problems: dict[int, str] = {}
    for outcome in runner.embed(missing, advance):
        if outcome.ends_all:
            raise LeanclipError(outcome.problem)
        if outcome.problem:
            problems[outcome.number] = outcome.problem
            continue
        out.publish(outcome.number, count)
        summary = out.summary(outcome.number)
        assert summary is not None
        photos = summary.rows + len(summary.skipped)
        advance(outcome.number, photos, photos)
    if problems:
        number = min(problems)
        raise CorpusError(
            f"{plan.shards[number].source}: {problems[number]} (shard {number}; "
            f"{len(problems)} of {count} shards failed, the others are done: run it again "
            "when that is mended)"
        )
    return len(missing)


def _totals(out: OutputFolder, plan: Plan) -> tuple[int, list[Skipped]]:
    summaries = [out.summary(number) for number in range(len(plan.shards))]
    rows = sum(one.rows for one in summaries if one is not None)
    return rows, [photo for one in summaries if one is not None for photo in one.skipped]
