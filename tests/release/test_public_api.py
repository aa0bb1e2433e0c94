"""A change of the public API is made on purpose, or not at all."""

from public_api import LIST, public_api

BEFORE = """
from dataclasses import dataclass
from .hidden import given

__all__ = ["Thing", "given", "LIMIT"]
LIMIT = 3

@dataclass
class Thing:
    size: int
    @property
    def large(self) -> bool: ...
    def grow(self, by: int = 1) -> "Thing": ...
    def _inside(self): ...

def unlisted(): ...
"""


def test_the_public_api_is_the_one_that_is_listed():
    listed = LIST.read_text("utf-8").splitlines()
    found = public_api()
    gone = "\n".join(f"- {line}" for line in listed if line not in found)
    new = "\n".join(f"+ {line}" for line in found if line not in listed)
    advice = "if this is meant, run: python data/release/public_api.py, and say so in CHANGELOG.md"
    assert found == listed, f"the public API has changed\n{gone}\n{new}\n{advice}"


def test_names_signatures_types_and_values_are_listed(tmp_path):
    package = tmp_path / "sample"
    package.mkdir()
    (package / "__init__.py").write_text(BEFORE)
    (package / "hidden.py").write_text("def given(path: str, *, deep: bool = False) -> int: ...\n")
    found = public_api(tmp_path, ("sample",))
    assert found == [
        "sample.LIMIT = 3",
        "class sample.Thing",
        "sample.Thing.__init__(size: int) -> None",
        "sample.Thing.grow(by: int = 1) -> Thing",
        "property sample.Thing.large: bool",
        "sample.Thing.size: int",
        "sample.given(path: str, *, deep: bool = False) -> int",
    ]


def test_a_changed_default_and_a_name_that_is_gone_are_noticed(tmp_path):
    package = tmp_path / "other"
    package.mkdir()
    (package / "hidden.py").write_text("def given(): ...\n")
    (package / "__init__.py").write_text(BEFORE)
    before = public_api(tmp_path, ("other",))
    changed = BEFORE.replace("by: int = 1", "by: int = 2").replace('"LIMIT"', "")
    (package / "__init__.py").write_text(changed)
    after = public_api(tmp_path, ("other",))
    assert set(before) - set(after) == {"other.LIMIT = 3", "other.Thing.grow(by: int = 1) -> Thing"}
