"""The study: every row of ``rows.py`` trained, measured and compared; one command, resumable.

    python data/benchmarks/study/run.py --out runs/study --jobs 2
    python data/benchmarks/study/run.py --only "structured pruning/platon" --only ablation
    python data/benchmarks/study/run.py --list
    python data/benchmarks/study/run.py --measure        # bytes and milliseconds of what is done
    python data/benchmarks/study/run.py --plots          # plots and table from the CSV alone

Rows that are done, here or in the committed tables, are not run again; a row that fails is
named at the end and stops only those that go on from it. Ctrl-C keeps what is done, and rows
resume at their last step. The result is ``data/benchmarks/study.csv``, ``.json``, ``.md`` and
``study-*.svg``.
"""

import sys
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from figures import HERE, REPOSITORY
from study.plan import Base, Job, chosen, plan
from study.results import finished, remaining, update_tables
from study.rows import ROWS
from study.schedule import build_caches, expected_seconds, run_jobs

from retrieval.spec.errors import LeanclipError

RECIPE = REPOSITORY / "data" / "recipes" / "study.yaml"


def main(
    out: Annotated[Path, typer.Option(help="Folder of all runs.")] = REPOSITORY / "runs" / "study",
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="GROUP/NAME", help="Rows whose name starts so, and their parents."),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Rows at once, one thread each.")] = 2,
    recipe: Annotated[Path, typer.Option(help="What all rows change.")] = RECIPE,
    figures: Annotated[Path, typer.Option(help="Results, without ending.")] = HERE / "study",
    list_rows: Annotated[bool, typer.Option("--list", help="List rows, train nothing.")] = False,
    measure: Annotated[bool, typer.Option("--measure", help="Only measure what is done.")] = False,
    plots: Annotated[bool, typer.Option("--plots", help="Only draw plots and table.")] = False,
) -> None:
    """Train what is missing, measure, and write tables and plots."""
    if plots:
        _draw(figures)
        return
    base = Base.read(recipe, _teacher(recipe))
    everything = plan(ROWS, base)
    wanted = chosen(everything, only or ())
    if list_rows:
        _list(wanted, remaining(wanted, out, figures), jobs)
        return
    save = partial(update_tables, everything, out, figures)
    failed: dict[str, str] = {}
    if not measure:
        waiting = remaining(wanted, out, figures)
        _share_caches(out)
        build_caches(base, waiting, out)
        failed = run_jobs(base, waiting, out, jobs, done=save)
    from study.measure import measure_all

    failed |= measure_all([job for job in wanted if finished(job, out)], out)
    save()
    _draw(figures)
    for title, reason in failed.items():
        typer.echo(f"failed: {title}: {reason}", err=True)
    if failed:
        raise typer.Exit(1)


def _teacher(recipe: Path) -> str:
    """Fingerprint of the teacher that a recipe names."""
    from retrieval.compress.loop.reporter import SilentReporter
    from retrieval.compress.recipe import load_recipe
    from retrieval.compress.teaching.teacher import Teacher

    source = load_recipe(recipe).teachers[0]
    return Teacher(source, Path(), SilentReporter()).fingerprint


def _share_caches(out: Path) -> None:
    """Use the teacher's caches of other runs beside the study's folder, if there are any."""
    out.mkdir(parents=True, exist_ok=True)
    mine, shared = out / "teacher-cache", out.parent / "teacher-cache"
    if shared.is_dir() and not mine.exists():
        mine.symlink_to(shared.resolve(), target_is_directory=True)


def _list(wanted: Sequence[Job], waiting: Sequence[Job], jobs: int) -> None:
    left = {job.key for job in waiting}
    by_group: dict[str, list[Job]] = defaultdict(list)
    for job in wanted:
        by_group[job.row.group].append(job)
    for group, members in by_group.items():
        seconds = sum(expected_seconds(job) for job in members)
        typer.echo(f"{group}: {len(members)} runs, about {seconds / 60:.0f} minutes of one core")
        for job in members:
            mark = "" if job.key in left else "done"
            typer.echo(f"  {mark:5}{job.title}  ({expected_seconds(job):.0f} s)")
    missing = sum(map(expected_seconds, waiting))
    typer.echo(f"{len(wanted)} runs; about {missing / jobs / 60:.0f} minutes are left")


def _draw(figures: Path) -> None:
    from study.plots import draw_plots
    from study.table import write_table

    write_table(figures)
    draw_plots(figures)


if __name__ == "__main__":
    try:
        typer.run(main)
    except LeanclipError as error:
        sys.exit(f"study: {error}")
