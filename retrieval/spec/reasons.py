"""What an error of somebody else's code says, for a sentence of ours.

Both give the error's name where it says nothing.
"""


def in_one_line(error: BaseException) -> str:
    """The whole message, without its line breaks."""
    return " ".join(str(error).split()) or type(error).__name__


def first_line(error: BaseException) -> str:
    """The message's first line."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
