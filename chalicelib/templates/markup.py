"""HTML of e-mails: read strictly, by a list of what may be in it, and written anew.

What is not on the list is refused, and nothing is mended: whoever wrote it is told where. What goes out is not what was
written but what was understood, with every text and attribute escaped by us; so no reader of mail can take it for
something else than we did.
"""

import re
from dataclasses import dataclass, field
from html import escape, unescape

from chalicelib.templates.fields import FIELDS, Sort
from chalicelib.templates.holes import HOLES_MAX, Flaw, Hole, Pieces, Place, link_of, pieces_of, unseen

_STRUCTURE = "html head body title meta style"
_BLOCKS = (
    "p div table thead tbody tfoot tr td th caption colgroup h1 h2 h3 h4 h5 h6 ul ol li dl dt dd blockquote pre center"
    " section article header footer main figure figcaption address"
)
_INLINE = "a abbr b strong i em u s small big sub sup span font code q cite mark del ins time"
_VOID = frozenset({"br", "hr", "img", "col", "meta"})
BLOCKS = frozenset(_BLOCKS.split())
ELEMENTS = frozenset((_STRUCTURE + " " + _BLOCKS + " " + _INLINE).split()) | _VOID

_FRAME = frozenset({"html", "head", "body"})

_TEXTS = frozenset({"alt", "title"})
"""Attributes that are shown as text, and may have fields."""

_GLOBAL = frozenset(
    """align valign width height bgcolor border cellpadding cellspacing role lang dir class id color face size colspan
    rowspan span start type style alt title summary scope datetime""".split()  # noqa: SIM905 - fifteen lines less
)
_OWN = {
    "a": frozenset({"href", "target", "rel", "name"}),
    "img": frozenset({"src"}),
    "meta": frozenset({"charset", "name", "content"}),
    "html": frozenset({"xmlns"}),
}
_META_NAMES = frozenset(
    {
        "viewport",
        "color-scheme",
        "supported-color-schemes",
        "format-detection",
        "x-apple-disable-message-reformatting",
    }
)

_PLAIN = frozenset(
    {"href", "target", "rel", "align", "valign", "lang", "border", "cellpadding", "cellspacing", "colspan", "rowspan",
     "xmlns"}
)  # fmt: skip
"""Attributes that hide nothing, whatever they say. Of all others, class and style first, that is hard to tell."""

DEPTH_MAX, TAGS_MAX, FLAWS_MAX = 60, 4000, 20

_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]*+)")
_ATTRIBUTE = re.compile(r"\s++([A-Za-z][A-Za-z0-9_-]*+)(?:\s*+=\s*+(\"[^\"]*+\"|'[^']*+'))?+")
_END = re.compile(r"\s*+(/?)>")
_DOCTYPE = re.compile(r"<!doctype\s+html[^<>{}]*>", re.IGNORECASE)
_STYLE_END = re.compile(r"</style\s*>", re.IGNORECASE)
_CSS_BAD = re.compile(
    r"[<\\]|\{\{|/\*|@import|@charset|@namespace|@font-face|url\s*\(|image\s*\(|image-set|src\s*\(|expression|javascript|"
    r"vbscript|behavior|-moz-binding|position\s*:\s*(?:fixed|sticky)",
    re.IGNORECASE,
)
_STATIC_LINK = re.compile(r"(?:mailto:[^\s\"'<>\\`]+|tel:[0-9+*#().-]+|#[A-Za-z0-9_-]*)$")
_SHOWN = re.compile(r"[ \t\n]+")


@dataclass
class Markup:
    """What was understood of an e-mail's HTML.

    Attributes:
        html: as it goes out.
        text: what readers without HTML get of it.
        body_end: which of the pieces the body ends before; None: it has no such tag.
        way_out: whether it has a link to opt out that nothing can be hiding.
        misplaced: addresses of ours that stand where nobody can follow them.
    """

    html: list[str | Hole] = field(default_factory=list)
    text: list[str | Hole] = field(default_factory=list)
    flaws: list[Flaw] = field(default_factory=list)
    body_end: int | None = None
    way_out: bool = False
    misplaced: list[Flaw] = field(default_factory=list)


def read(source: str) -> Markup:
    """The HTML of an e-mail, understood; with flaws where it is not what may go out."""
    return _Reader(source.replace("\r\n", "\n")).read()


@dataclass
class _Way:
    """A link to opt out.

    Attributes:
        depth: how many tags are open inside it, itself included, at the least; beyond all when it is closed.
        letters: of its text, that nothing around them can be hiding.
    """

    depth: int
    letters: int = 0

    @property
    def shown(self) -> bool:
        """Whether there is something to be read, and so to be pressed."""
        return self.letters >= 2


class _Reader:
    def __init__(self, source: str) -> None:
        self.source = source
        self.done = Markup()
        self.open: list[tuple[str, int, Pieces]] = []
        self.tags = 0
        self.holes = 0
        self.framed: set[str] = set()
        self.styled = False
        self.dim: list[bool] = []
        self.ways: list[_Way] = []

    def read(self) -> Markup:
        position = self._doctype()
        while position < len(self.source) and len(self.done.flaws) < FLAWS_MAX:
            next_tag = self.source.find("<", position)
            if next_tag == -1:
                next_tag = len(self.source)
            self._text(position, next_tag)
            position = self._markup(next_tag) if next_tag < len(self.source) else next_tag
        for name, at, _ in self.open:
            self._flaw(f"<{name}> is not closed", at)
        if self.tags > TAGS_MAX:
            self._flaw(f"it has more than {TAGS_MAX} tags", 0)
        if self.holes > HOLES_MAX:
            self._flaw(f"it has more than {HOLES_MAX} fields", 0)
        # A style sheet may hide any element from anywhere.
        self.done.way_out = not self.styled and any(way.shown for way in self.ways)
        return self.done

    def _doctype(self) -> int:
        found = _DOCTYPE.match(self.source.lstrip())
        if found is None:
            return 0
        self.done.html.append("<!doctype html>")
        return len(self.source) - len(self.source.lstrip()) + found.end()

    def _markup(self, at: int) -> int:
        """What stands at a `<`, and where it goes on."""
        if self.source.startswith("<!--", at):
            return self._comment(at)
        tag = _TAG.match(self.source, at)
        if tag is None:
            inner = self.source[at : at + 4]
            said = "a field cannot stand in a tag" if "{{" in inner else "it begins no tag: write &lt; for a <"
            self._flaw(said, at)
            return at + 1
        name = tag[2].lower()
        self.tags += 1
        if name not in ELEMENTS:
            self._flaw(f"<{name}> may not be in a mail", at)
        if self.tags > TAGS_MAX:
            return len(self.source)
        return self._closing(name, at, tag.end()) if tag[1] else self._opening(name, at, tag.end())

    def _comment(self, at: int) -> int:
        """Comments are left out; what some readers of mail take for markup too."""
        end = self.source.find("-->", at + 4)
        inside = self.source[at + 4 : end]
        if end == -1 or "<!--" in inside or "--!" in inside or inside.startswith((">", "->")):
            self._flaw("a comment is <!-- … -->, with neither of them inside", at)
            return at + 4
        return end + 3

    def _opening(self, name: str, at: int, position: int) -> int:
        attributes: dict[str, Pieces] = {}
        while (found := _ATTRIBUTE.match(self.source, position)) is not None:
            own, quoted = found[1].lower(), found[2]
            if own in attributes:
                self._flaw(f"{own} stands twice in one tag", found.start(1))
            start = found.start(2) + 1 if quoted else found.start(1)
            attributes[own] = self._attribute(name, own, quoted[1:-1] if quoted else "", start, found.start(1))
            position = found.end()
        end = _END.match(self.source, position)
        if end is None:
            self._flaw(_tag_flaw(self.source[position : position + 40]), position)
            skipped = self.source.find(">", position)
            return skipped + 1 if skipped != -1 else len(self.source)
        if end[1] and name not in _VOID:
            self._flaw(f"<{name}> is closed by </{name}>, not by a slash", at)
        if name == "meta":
            self._meta(attributes, at)
        self._place(name, at)
        self._write(name, attributes)
        if name == "style":
            return self._style(end.end(), at)
        if name not in _VOID:
            if len(self.open) >= DEPTH_MAX:
                self._flaw(f"tags stand more than {DEPTH_MAX} deep in one another", at)
                return len(self.source)
            self.open.append((name, at, attributes.get("href", ())))
            self.dim.append(not attributes.keys() <= _PLAIN or name == "head")
            if name == "a" and attributes.get("href") == (Hole("opt_out", Place.ATTRIBUTE),):
                self.ways.append(_Way(len(self.open)))
        return end.end()

    def _place(self, name: str, at: int) -> None:
        """See that the frame of a document stands around it once, and that a title is text."""
        around = [each for each, _, _ in self.open]
        if around and around[-1] == "title":
            self._flaw("a title is text", at)
        if name in _FRAME and (name in self.framed or around not in ([], ["html"])):
            self._flaw(f"<{name}> stands once, around the rest", at)
        self.framed.add(name)

    def _closing(self, name: str, at: int, position: int) -> int:
        end = _END.match(self.source, position)
        if end is None or end[1]:
            self._flaw(f"</{name}> has nothing but its name", at)
            return at + 2
        if not self.open or self.open[-1][0] != name:
            before = f"; <{self.open[-1][0]}> is open" if self.open else ""
            self._flaw(f"</{name}> closes nothing here{before}", at)
            return end.end()
        _, _, href = self.open.pop()
        self.dim.pop()
        if self.ways and self.ways[-1].depth > len(self.open):
            self.ways[-1].depth = DEPTH_MAX + 1
        if name == "body":
            self.done.body_end = len(self.done.html)
        self.done.html.append(f"</{name}>")
        if href and not (len(href) == 1 and isinstance(href[0], str) and href[0].startswith("#")):
            told = [unescape(each) if isinstance(each, str) else each for each in href]
            self.done.text += [" (", *[_plain(each) for each in told], ")"]
        if name in BLOCKS:
            self.done.text.append("\n\n" if name in ("p", "h1", "h2", "h3", "table", "ul", "ol", "div") else "\n")
        return end.end()

    def _attribute(self, element: str, name: str, value: str, start: int, at: int) -> Pieces:
        """The value of an attribute, escaped; its flaws are noted."""
        allowed = name in _GLOBAL or name in _OWN.get(element, ()) or re.fullmatch(r"aria-[a-z]{1,20}", name)
        if not allowed:
            self._flaw(f"<{element}> may not have {name} in a mail", at)
        if name == "href":
            return self._link(value, start)
        place = Place.ATTRIBUTE
        pieces, flaws = pieces_of(value, place, start=start)
        self.done.flaws += flaws
        holes = [each for each in pieces if isinstance(each, Hole)]
        self.holes += len(holes)
        for each in holes:
            self._misplace(each, start)
        if holes and name not in _TEXTS:
            self._flaw(f"a field cannot stand in {name}", start)
        literal = unescape("".join(each for each in pieces if isinstance(each, str)))
        hidden = unseen(literal)
        if hidden:
            self._flaw(hidden.detail, start)
        if name == "style" and _CSS_BAD.search(literal):
            self._flaw("style loads nothing, has no comments, backslashes or fields, and stays in its place", start)
        if name == "src" and (not re.match(r"https://[A-Za-z0-9]", literal) or link_of(literal)[1]):
            self._flaw("a picture is loaded from https://", start)
        if name == "target" and literal not in ("_blank", "_self"):
            self._flaw("target is _blank", start)
        return tuple(escape(unescape(each)) if isinstance(each, str) else each for each in pieces)

    def _link(self, value: str, start: int) -> Pieces:
        plain = unescape(value).strip()
        if "{{" not in value and _STATIC_LINK.match(plain):
            hidden = unseen(plain, start)
            self.done.flaws += [hidden] if hidden else []
            return (escape(plain),)
        pieces, flaws = link_of(plain if "{{" not in value else value.strip().replace("&amp;", "&"), start=start)
        self.done.flaws += flaws
        self.holes += sum(isinstance(each, Hole) for each in pieces)
        return tuple(escape(each) if isinstance(each, str) else each for each in pieces)

    def _meta(self, attributes: dict[str, Pieces], at: int) -> None:
        name = "".join(str(each) for each in attributes.get("name", ())).lower()
        charset = "".join(str(each) for each in attributes.get("charset", ())).lower()
        if not (charset == "utf-8" and len(attributes) == 1) and name not in _META_NAMES:
            self._flaw("meta says charset utf-8, viewport or color-scheme, and nothing else", at)

    def _style(self, start: int, at: int) -> int:
        end = _STYLE_END.search(self.source, start)
        if end is None:
            self._flaw("<style> is not closed", at)
            return len(self.source)
        css = self.source[start : end.start()]
        self.styled = self.styled or bool(css.strip())
        bad = _CSS_BAD.search(css)
        if bad:
            self._flaw("a style sheet loads nothing, has no comments, backslashes or fields", start + bad.start())
        hidden = unseen(css, start)
        if hidden:
            self.done.flaws.append(hidden)
        self.done.html.append(f"{css}</style>")
        return end.end()

    def _text(self, start: int, end: int) -> None:
        if start == end:
            return
        pieces, flaws = pieces_of(self.source[start:end], Place.HTML, start=start)
        self.done.flaws += flaws
        headed = any(name in ("head", "title") for name, _, _ in self.open)
        for each in pieces:
            if isinstance(each, Hole):
                self.holes += 1
                self._misplace(each, start)
                self.done.html.append(each)
                if not headed:
                    self.done.text.append(Hole(each.field, Place.LINE))
                continue
            literal = unescape(each)
            hidden = unseen(literal)
            if hidden:
                self._flaw(hidden.detail, start)
            self.done.html.append(escape(literal, quote=False))
            if self.ways and self.ways[-1].depth <= len(self.open) and not any(self.dim):
                self.ways[-1].letters += sum(letter.isalnum() for letter in literal)
            if not headed:
                self.done.text.append(_SHOWN.sub(" ", literal))

    def _write(self, name: str, attributes: dict[str, Pieces]) -> None:
        self.done.html.append(f"<{name}")
        for each, value in attributes.items():
            self.done.html += [f' {each}="', *value, '"']
        self.done.html.append(">")
        if name in ("br", "hr", "tr", "li"):
            self.done.text.append("\n- " if name == "li" else "\n")
        if name == "img":
            self.done.text += [
                _plain(unescape(each) if isinstance(each, str) else each) for each in attributes.get("alt", ())
            ]

    def _misplace(self, hole: Hole, at: int) -> None:
        """Note an address of ours that stands as text: there it is long, and many readers cannot follow it."""
        if FIELDS[hole.field].sort is Sort.LINK:
            self.done.misplaced.append(Flaw(f'{hole.field} is an address: let it stand alone in href="…"', at))

    def _flaw(self, detail: str, at: int) -> None:
        self.done.flaws.append(Flaw(detail, at))


def _tag_flaw(rest: str) -> str:
    if "{{" in rest.split(">", maxsplit=1)[0]:
        return "a field stands in a tag only inside quotes"
    return 'what follows is no attribute: name="value", in quotes'


def _plain(piece: str | Hole) -> str | Hole:
    return (
        piece if isinstance(piece, str) or piece.place in (Place.QUERY, Place.DIGITS) else Hole(piece.field, Place.LINE)
    )
