"""The error of every data set that cannot be loaded."""


class DataError(Exception):
    """A set cannot be loaded. The message is one line: the file, and what to do."""

    def __init__(self, message: str):
        super().__init__(" ".join(message.split()))
