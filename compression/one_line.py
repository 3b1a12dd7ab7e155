"""An error in one line."""


def in_one_line(error: BaseException) -> str:
    """The message, or the kind of an error that has none."""
    return " ".join(str(error).split()) or type(error).__name__


def first_line(error: BaseException) -> str:
    """The first line of the message, or the kind of an error that has none."""
    return _first(str(error), error)


def what_is_wrong(error: BaseException) -> str:
    """Likewise of Keras's, which says first what it was at, and only then that."""
    return _first(str(error).rsplit("Exception encountered: ", 1)[-1], error)


def _first(text, error):
    return (text.strip() or type(error).__name__).splitlines()[0]
