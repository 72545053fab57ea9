"""What a page would load from elsewhere."""

import re
from html.parser import HTMLParser

ADDRESSES = {"src", "href", "xlink:href", "srcset", "poster", "data", "action", "formaction", "background"}
IN_STYLE = re.compile(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)")


def outside(page: str) -> list[str]:
    """The addresses in attributes and styles of an HTML page that are neither data nor a place in the page itself."""
    finder = _Finder()
    finder.feed(page)
    return [address for address in finder.found if not address.strip().startswith(("data:", "#"))]


class _Finder(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found: list[str] = []
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_style = tag == "style"
        for name, value in attrs:
            if name in ADDRESSES and value:
                self.found.append(value)
            if name == "style" and value:
                self._style(value)
        if tag == "meta" and dict(attrs).get("http-equiv", "").lower() == "refresh":
            self.found.append(dict(attrs).get("content") or "")

    def handle_endtag(self, tag: str) -> None:
        self._in_style = False

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self._style(data)

    def _style(self, sheet: str) -> None:
        self.found += [one or other for one, other in IN_STYLE.findall(sheet)]
