"""What can go wrong with the files of a data set."""


class DatasetNotFound(FileNotFoundError):
    """The set is not on this machine and could not be downloaded. The text says what to put where."""


class DamagedFile(OSError):
    """A file is not what its card promises. The text names the file, the expected and the actual checksum."""


class DownloadFailed(OSError):
    """No address delivered the file. The text has a line for each address that was tried."""
