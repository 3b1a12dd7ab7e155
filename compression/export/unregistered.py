"""What to do where a file needs a class that nobody has registered."""


def unregistered(path: object, name: str) -> str:
    """The message of a file that needs `name`."""
    return (
        f"{path} needs {name!r}, which nobody has registered: import the module that "
        "defines it before (limbeck's own: import architectures; on the command line: "
        "limbeck --import MODULE)"
    )
