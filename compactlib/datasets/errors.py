"""What can go wrong with the files of a data set."""


class DatasetNotFound(FileNotFoundError):
    """The set is not on this machine and could not be downloaded. The text says what to put where."""


class DamagedFile(OSError):
    """A file is not what its card promises. The text names the file, the expected and the actual checksum."""


class BadPair(ValueError):
    """An image and a mask that do not belong together, or one of them that is no image or no mask. The text names the
    file."""


class DownloadFailed(OSError):
    """No address delivered the file. The text has a line for each address that was tried."""
