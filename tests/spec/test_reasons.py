import pytest

from retrieval.spec.reasons import first_line, in_one_line


@pytest.mark.parametrize(
    ("message", "whole", "first"),
    [
        ("no such operation", "no such operation", "no such operation"),
        ("\nat line 3:\n\tno such operation\n", "at line 3: no such operation", "at line 3:"),
        (" \n", "ValueError", "ValueError"),
        ("", "ValueError", "ValueError"),
    ],
)
def test_a_message_of_several_lines_or_none_becomes_one(message, whole, first):
    assert in_one_line(ValueError(message)) == whole
    assert first_line(ValueError(message)) == first
