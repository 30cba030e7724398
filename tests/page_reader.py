"""A page of the report as a reader without a browser finds it: tags, answers, links."""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlparse

VOID = {"meta", "link", "img", "br", "input", "line", "rect", "path", "hr", "wbr"}


class Page(HTMLParser):
    """Tags of a page with their attributes, and the text of each answer."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path, self.tags, self.answers = path, [], {}
        self._open, self._within = [], []
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)
        assert self._open == [], f"{path.name}: not closed: {self._open}"

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if tag in VOID:
            return
        self._open.append(tag)
        self._within.append(attributes.get("data-answer"))

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        assert self._open[-1] == tag, f"{self.path.name}: </{tag}> closes <{self._open[-1]}>"
        self._open.pop()
        self._within.pop()

    def handle_data(self, data):
        for name in set(self._within) - {None}:
            self.answers[name] = " ".join(f"{self.answers.get(name, '')} {data}".split())

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def broken(page: Page) -> list[str]:
    """Return the links and pictures of a page that lead nowhere."""
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids)), [name for name in ids if ids.count(name) > 1]
    wrong = []
    targets = [a["href"] for a in page.all("a")] + [i["src"] for i in page.all("img")]
    for target in targets:
        url = urlparse(target)
        if url.scheme in ("https", "data"):
            continue
        assert not url.scheme, target
        assert not target.startswith("/"), target
        file = page.path if not url.path else page.path.parent / unquote(url.path)
        missing = not file.exists()
        if not missing and url.fragment and file.suffix == ".html":
            missing = f'id="{url.fragment}"' not in file.read_text(encoding="utf-8")
        if missing:
            wrong.append(target)
    return wrong
