"""Showing the library's own code in a notebook."""

import inspect
import textwrap
from typing import Any

from IPython.display import Markdown


def source(thing: Any) -> Markdown:
    """The source of a class, function or method of this library, as a highlighted cell output."""
    return Markdown(f"```python\n{textwrap.dedent(inspect.getsource(thing)).rstrip()}\n```")
