import doctest
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import retrieval

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "python.md"
PHOTOS = {
    "": ("dogs_at_window.jpg", "tabby_cat.bmp", "giant_panda.jpg", "coffee_cup.jpg"),
    "trips": ("autumn_mountain.jpg", "mountain_path.jpg"),
    "more": ("man_with_camera.jpg", "forest_stream.jpg"),
}


def test_the_examples_of_the_page_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = tmp_path / "Pictures"
    for folder, names in PHOTOS.items():
        (pictures / folder).mkdir(parents=True, exist_ok=True)
        for name in names:
            shutil.copy(ROOT / "data" / "photos" / name, pictures / folder)
    shutil.copy(pictures / "coffee_cup.jpg", pictures / "coffee (copy).jpg")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LEANCLIP_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("LEANCLIP_MODEL", raising=False)
    examples = "\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL))
    test = doctest.DocTestParser().get_doctest(examples, {}, PAGE.name, str(PAGE), 0)
    assert len(test.examples) > 12
    failures: list[str] = []
    doctest.DocTestRunner().run(test, out=failures.append)
    assert not failures, "".join(failures)


def test_the_page_names_what_is_offered() -> None:
    table = re.findall(r"^\| `(\w+)\(", PAGE.read_text("utf-8"), re.MULTILINE)
    assert sorted(table) == sorted(retrieval.__all__)
    for name in retrieval.__all__:
        assert getattr(retrieval, name).__doc__
        assert name in dir(retrieval)
    with pytest.raises(AttributeError, match="no attribute 'search_photos'"):
        _ = retrieval.search_photos


def test_importing_loads_nothing() -> None:
    script = "import sys; import retrieval; print([m for m in sys.modules if 'retrieval.' in m])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
