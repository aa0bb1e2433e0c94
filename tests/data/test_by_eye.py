"""What a model shows, and what was said of it: the commands, and the page that they fill."""

import csv
import json
import re
from pathlib import Path

import gender_words
import pytest
from by_eye import page, run
from by_eye.judgements import JUDGEMENTS, Judgements
from by_eye.questions import Question, read_questions
from figures import PHOTOS, REPOSITORY
from fixtures.colour_bundle import make_colour_bundle
from PIL import Image

from retrieval.spec.errors import LeanclipError
from tests.fakes import save_colour

PAGE = page.PAGE.read_text("utf-8")
RED = Question("red", "colours", frozenset())


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for colour in ("red", "green", "blue"):
        save_colour(tmp_path / "photos" / f"{colour}.png", colour)
    return tmp_path / "photos"


def test_there_are_thirty_queries_and_what_they_name_exists() -> None:
    questions = read_questions()
    queries = {question.query for question in questions}
    assert len(queries) == len(questions) == 30
    for question in questions:
        assert question.turned is None or question.turned in queries
        assert all((PHOTOS / photo).is_file() for photo in question.sample)


def test_every_judgement_is_about_a_query_that_is_asked() -> None:
    queries = {question.query for question in read_questions()}
    with JUDGEMENTS.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert {row["query"] for row in rows} <= queries
    assert {row["fits"] for row in rows} == {"yes", "no"}


@pytest.mark.parametrize("name", [page.SAMPLE, page.UNLABELLED])
def test_all_that_the_page_counts_was_judged(name: str) -> None:
    found, judgements = page.measured(name), Judgements()
    for question in read_questions():
        photos = page.shown(found, question)
        assert len(photos) == found["results"]["top"]
        assert None not in [judgements.fits(question, photo) for photo in photos]


def test_the_page_says_what_was_found_and_judged() -> None:
    assert page.filled(PAGE) == PAGE, "run python data/benchmarks/by_eye/page.py"
    with pytest.raises(ValueError, match="no place for the table of by_eye"):
        page.filled("# Nothing")


def test_the_words_of_the_page_are_about_the_model_that_was_asked() -> None:
    words = re.sub(r"<!-- (\w+) -->.*?<!-- /\1 -->", "", PAGE, flags=re.DOTALL)
    for name in (page.SAMPLE, page.UNLABELLED, "gender_words"):
        assert page.measured(name)["results"]["fingerprint"][:8] in words


def test_the_sheet_of_the_sample_photos_is_small_enough_to_carry() -> None:
    sheet = REPOSITORY / "data" / "benchmarks" / f"{page.SAMPLE}.jpg"
    assert 100_000 < sheet.stat().st_size < 600_000


def test_a_model_is_asked_and_its_answers_are_drawn(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    turned = Question("red and blue", "colours", frozenset(), turned="red")
    monkeypatch.setattr(run, "read_questions", lambda: [RED, turned])
    bundle = make_colour_bundle(tmp_path / "bundle")
    more = save_colour(tmp_path / "more" / "white.png", "white").parent
    run.main(model=str(bundle), photos=[photos, more], out=tmp_path / "answers", sheet=None)
    written = json.loads((tmp_path / "answers.json").read_text("utf-8"))
    assert written["results"]["photos"] == 4
    assert [row["photo"] for row in written["raw"] if row["place"] == 1][0] == "red.png"
    [pair] = written["results"]["turned"]
    assert pair["shared"] == 4
    assert 0 < pair["cosine"] < 1
    assert "of 8 photos shown, 0 fit, 0 do not, 8 are not judged" in capsys.readouterr().out
    with Image.open(tmp_path / "answers.jpg") as sheet:
        assert sheet.format == "JPEG"


@pytest.mark.parametrize(
    ("folder", "sheet", "complaint"),
    [("nowhere", "a.jpg", "no such folder"), ("photos", "a.txt", "must end in .html")],
)
def test_a_run_that_cannot_be_leaves_nothing(
    folder: str, sheet: str, complaint: str, photos: Path, tmp_path: Path
) -> None:
    bundle = make_colour_bundle(tmp_path / "bundle")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(LeanclipError, match=complaint):
        run.main(str(bundle), [tmp_path / folder], tmp_path / "answers", tmp_path / sheet)
    assert sorted(tmp_path.iterdir()) == before


def test_photos_that_nobody_judged_are_asked_for_once(tmp_path: Path) -> None:
    path = tmp_path / "judgements.csv"
    shown = [(RED, "a.jpg"), (RED, "b, c.jpg")]
    assert Judgements(path).ask(shown) == [("red", "a.jpg"), ("red", "b, c.jpg")]
    text = path.read_text("utf-8")
    path.write_text(text.replace("a.jpg,", "a.jpg,yes"), "utf-8")
    again = Judgements(path)
    assert again.fits(RED, "a.jpg") is True
    assert again.ask(shown) == [("red", "b, c.jpg")]
    assert path.read_text("utf-8").count("b, c.jpg") == 1
    path.write_text(text.replace("a.jpg,", "a.jpg,perhaps"), "utf-8")
    with pytest.raises(ValueError, match="'perhaps' is neither yes nor no"):
        Judgements(path)


def test_the_queries_say_which_sample_photos_fit(tmp_path: Path) -> None:
    question = Question("a cat", "animals", frozenset({"tabby_cat.bmp"}))
    judgements = Judgements(tmp_path / "none.csv")
    assert judgements.fits(question, "tabby_cat.bmp") is True
    assert judgements.fits(question, "giant_panda.jpg") is False


@pytest.mark.parametrize(
    ("captions", "said"),
    [
        (["A man runs.", "Two boys play.", "Somebody runs."], "man"),
        (["A woman runs.", "A girl plays.", "A lady in her car."], "woman"),
        (["A man and a woman.", "A man runs.", "A man plays."], "unsaid"),
        (["A man runs.", "Somebody runs.", "A dog.", "A dog."], "unsaid"),
        (["The human hero mangles theirs."] * 3, "unsaid"),
    ],
)
def test_captions_say_whom_they_see(captions: list[str], said: str) -> None:
    assert gender_words.said_of(captions) == said


def test_whom_a_model_shows_is_counted(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    captions = {"red": "a man", "green": "a woman", "blue": "a woman"}
    lines = [
        json.dumps({"image": f"photos/{colour}.png", "captions": [caption]})
        for colour, caption in captions.items()
    ]
    (tmp_path / "pairs.jsonl").write_text("\n".join(lines), "utf-8")
    monkeypatch.setattr(gender_words, "DOING", ("in red",))
    monkeypatch.setattr(gender_words, "TOP", 1)
    bundle = make_colour_bundle(tmp_path / "bundle")
    gender_words.main(str(bundle), tmp_path / "pairs.jsonl", tmp_path / "counted")
    results = json.loads((tmp_path / "counted.json").read_text("utf-8"))["results"]
    assert results["all"] == {"men": 1, "women": 2, "photos": 3, "top": 1}
    [row] = results["sentences"]
    assert (row["men"], row["women"]) == (1, 0)
    table = gender_words.table(results)
    assert "| a person in red | 1 | 0 | 0 % | +0.000 |" in table
    assert "| all 3 photos | 1 | 2 | 67 % |" in table
