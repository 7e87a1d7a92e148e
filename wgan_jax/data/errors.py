"""The error of data that cannot be had."""


class DataError(ValueError):
    """A dataset is absent and cannot be fetched, or is there and cannot be read.

    The message says which dataset, where it was looked for, and what to do.
    """
