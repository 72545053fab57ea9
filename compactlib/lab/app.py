"""The address that `compactlib.app` had before it was a room of its own; programs that use it go on."""

from compactlib.app import *  # noqa: F403
