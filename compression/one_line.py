"""An error in one line."""


def in_one_line(error: BaseException) -> str:
    """The message, or the kind of an error that has none."""
    return " ".join(str(error).split()) or type(error).__name__
