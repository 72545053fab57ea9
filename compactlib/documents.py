"""YAML and JSON from files that somebody else may have written: read within limits, by everything in the project.

A file of a few lines can ask for all memory (aliases of aliases), all stack (brackets within brackets) or minutes
(numbers of a million digits). Here each of these is an error that names the file, within a second.
"""

import json
import math
import stat
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

YAML_BYTES, JSON_BYTES = 200_000, 20_000_000  # largest files; a sweep of 1,000 listed runs has 30,000 bytes
NODES = 100_000  # scalars, lists and mappings of a YAML file, with every alias counted as what it stands for
DEPTH = 50  # lists and mappings within each other
DIGITS = 60  # characters of a number

Base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where PyYAML was built with it


class DocumentError(ValueError):
    """A file that cannot be read. The sentence names it and says what is wrong."""


def read_yaml(path: str | Path) -> Any:
    """What a YAML file holds: mappings, lists, texts, numbers, booleans, None; dates stay texts.

    Raises DocumentError for a file that is not there, is no regular file, is too large, is no valid YAML, names a key
    twice (YAML would keep the last and say nothing), or goes beyond the limits above.
    """
    data = read_bytes(path, YAML_BYTES)
    try:
        _measure(data)
        return yaml.load(data, _Loader)
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, LookupError) as error:  # what `!!int x` raises
        raise DocumentError(f"{path} is not valid YAML: {_short(error)}.") from None


def read_json(path: str | Path) -> Any:
    """What a JSON file holds. Raises DocumentError as `read_yaml` does, and for numbers that are none (NaN, 1e999)."""
    data = read_bytes(path, JSON_BYTES)
    try:
        content = json.loads(data, parse_int=_int, parse_float=_finite, parse_constant=_finite)
        json.dumps(content, ensure_ascii=False).encode()  # half of a surrogate pair is no text that can be written
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"{path} is not valid JSON: {_short(error)}.") from None
    return content


def read_bytes(path: str | Path, most: int) -> bytes:
    """The content of a regular file of at most `most` bytes. Raises DocumentError: no pipe is waited for, no device
    read."""
    path = Path(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise DocumentError(f"{path} cannot be read: it is no regular file.")
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise DocumentError(f"{path} cannot be read ({error.strerror or error}).") from None
    if len(data) > most:
        raise DocumentError(f"{path} is larger than {most:,} bytes, the most that is read of such a file.")
    return data


class _Loader(Base):
    """YAML's safe loader with limits for numbers, and an error for a name that stands twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        names = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        if twice := [name for name, count in names.items() if count > 1 and name != "<<"]:
            raise yaml.constructor.ConstructorError(None, None, f"'{twice[0]}' stands here twice", node.start_mark)
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        return super().construct_yaml_int(_checked(node))

    def construct_yaml_float(self, node: yaml.ScalarNode) -> float:
        return super().construct_yaml_float(_checked(node))


for _tag, _construct in {
    "int": _Loader.construct_yaml_int,
    "float": _Loader.construct_yaml_float,
    "timestamp": _Loader.construct_yaml_str,
}.items():
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _construct)


def _checked(node: yaml.ScalarNode) -> yaml.ScalarNode:
    if isinstance(node.value, str) and len(node.value) > DIGITS:
        message = f"a number of {len(node.value):,} characters; expected at most {DIGITS}"
        raise yaml.constructor.ConstructorError(None, None, message, node.start_mark)
    return node


def _measure(data: bytes) -> None:
    """Raises YAMLError where the file, with every alias replaced by what it stands for, is too large or too deep. Reads
    the stream of events, so that nothing is built yet."""
    sizes: dict[str, int] = {}  # of what has an anchor, once it is complete
    open_nodes: list[tuple[str | None, int]] = [(None, 0)]
    for event in yaml.parse(data, Base):
        size, anchor = 1, getattr(event, "anchor", None)
        if isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((anchor, 1))
            if len(open_nodes) > DEPTH:
                _refuse(f"more than {DEPTH} lists or mappings within each other", event)
            continue
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, size = open_nodes.pop()
        elif isinstance(event, yaml.AliasEvent):
            if anchor not in sizes:
                _refuse(f"the alias *{anchor} stands for nothing, or for itself", event)
            anchor, size = None, sizes[anchor]
        elif not isinstance(event, yaml.ScalarEvent):
            continue
        outer, count = open_nodes[-1]
        open_nodes[-1] = (outer, count + size)
        if count + size > NODES:
            _refuse(f"more than {NODES:,} values, counting every alias as what it stands for", event)
        if anchor:
            sizes[anchor] = size


def _refuse(what: str, event: yaml.Event) -> None:
    raise yaml.composer.ComposerError(None, None, what, event.start_mark)


def _int(text: str) -> int:
    if len(text) > DIGITS:
        raise ValueError(f"a number of {len(text):,} digits; expected at most {DIGITS}")
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:DIGITS]} is not a finite number")
    return value


def _short(error: Exception) -> str:
    said = str(error) or type(error).__name__
    return said if len(said) <= 500 else f"{said[:500]} ..."
