"""Names whose bytes are no text, or act in a terminal, are spelt out."""

import os

import pytest

from retrieval.spec.readable import readable, spelt_out


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("plage été.jpg", "plage été.jpg"),
        (os.fsdecode(b"caf\xe9.jpg"), "caf\\xe9.jpg"),
        ("\x1b[31mred.jpg", "\\x1b[31mred.jpg"),
        ("two\nlines.jpg", "two\\nlines.jpg"),
    ],
)
def test_people_read_names_that_do_nothing(name: str, text: str):
    assert readable(name) == text


def test_a_file_keeps_what_it_can_hold():
    assert spelt_out(os.fsdecode(b"a\tb\xff")) == "a\tb\\xff"
