"""Pages as light as they can be: icons, rules, MathJax only as far as used.

Left alone, the theme sends each reader 2,000 icons three times over, as a
script, as fonts and as rules; rules for parts that no page has; the index
of the search, which only one page asks; and MathJax with its menu. After
the build this module

* cuts rules and icon fonts down to the classes and icons that pages and
  scripts name, and empties the script that would draw the icons again;
* leaves the index of the search to the page that searches;
* copies the parts of MathJax that ``_config.yml`` names, and the fonts, out
  of an installed package, so that a page needs no network.
"""

import logging
import re
import shutil
from collections.abc import Iterable
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pydata_sphinx_theme
from fontTools import subset
from fontTools.ttLib import TTFont
from sphinx.application import Sphinx

logging.getLogger("fontTools").setLevel(
    logging.WARNING
)  # it tells of every table it cuts

THEME = Path(pydata_sphinx_theme.__file__).parent / "theme"
THEME_STATIC = THEME / "pydata_sphinx_theme" / "static"
ICON_SCRIPT = "scripts/fontawesome.js"
WEBFONTS = "vendor/fontawesome/webfonts"

MATHJAX_FONTS = "output/chtml/fonts"

# A rule without rules inside it: selectors, and what they set.
RULE = re.compile(r"([^{}@;]+)(\{[^{}]*\})")
COMMENT = re.compile(r"/\*.*?\*/", re.S)
CLASS = re.compile(r"\.(-?[A-Za-z_][\w-]*)")
PART_OF_CLASS = re.compile(r'\[class\*="?([\w-]+)"?\]')
# How a theme paints code, and the kinds of words in it.
PAINT = re.compile(
    r'data-theme="(\w+)"\] \.highlight (?:\.(\w+) )?\{ ([^{}]*) \}'
)
CODE = re.compile(r'<div class="highlight"><pre>.*?</pre>', re.S)
ICON_FILE = re.compile(
    r"src:url\(\.\./" + WEBFONTS + r"/([\w-]+)\.woff2\)[^;}]*"
)
ICON = re.compile(r'"(?:\\([0-9a-f]{4})|([\ue000-\uf8ff]))"')
# The search field asks another page; only that one needs what searches.
SEARCH_SCRIPT = re.compile(
    r' *<script src="[^"]*(?:searchtools|language_data|searchindex)'
    r'\.js[^"]*"></script>\n?'
)


def words_of(texts: Iterable[str]) -> set[str]:
    """All words of pages and scripts, among them every class they name."""
    return set().union(*(re.findall(r"[\w-]+", text) for text in texts))


def slim_style(style: str, words: set[str]) -> str:
    """The theme's rules without those of classes that nobody names."""
    all_words = "\n".join(words)

    def is_used(selector: str) -> bool:
        parts = PART_OF_CLASS.findall(selector)
        named = set(CLASS.findall(selector)) <= words
        return named and all(part in all_words for part in parts)

    def kept(rule: re.Match[str]) -> str:
        if "(" in rule[1] or "\\" in rule[1]:  # not worth understanding
            return rule[0]
        all_of_it = rule[1].split(",")
        used = [s for s in all_of_it if is_used(s)]
        return ",".join(used) + rule[2] if used else ""

    licences = [c for c in COMMENT.findall(style) if c.startswith("/*!")]
    style = RULE.sub(kept, COMMENT.sub("", style))
    style = ICON_FILE.sub(
        rf'src:url(../{WEBFONTS}/\1.woff) format("woff")', style
    )
    return "\n".join([*dict.fromkeys(licences), style])


def plain_kinds(style: str) -> set[str]:
    """Kinds of words that are painted like the code around them."""
    paint: dict[tuple[str, str], set[str]] = {}
    for theme, kind, what in PAINT.findall(style):
        paint[theme, kind] = set(what.split("; "))
    themes = {theme for theme, _ in paint}
    return {
        kind
        for kind in {kind for _, kind in paint} - {""}
        if all(paint.get((t, kind), set()) <= paint[t, ""] for t in themes)
    }


def without_plain_spans(page: str, kinds: set[str]) -> str:
    """A page whose code marks those words only that look different."""
    plain = re.compile(
        rf'<span class="(?:{"|".join(sorted(kinds))})">([^<]*)</span>'
    )
    return CODE.sub(lambda code: plain.sub(r"\1", code[0]), page)


def icons_of(style: str) -> set[int]:
    """The characters of the icon fonts that the rules ask for."""
    found = ICON.findall(style)
    return {int(c, 16) if c else ord(sign) for c, sign in found}


def cut_font(source: Path, target: Path, characters: set[int]) -> None:
    """A font with these characters only."""
    options = subset.Options(flavor="woff", notdef_outline=True)
    with TTFont(source) as font:
        cutter = subset.Subsetter(options)
        cutter.populate(unicodes=characters & set(font.getBestCmap()))
        cutter.subset(font)
        font.flavor = "woff"
        font.save(target)


NAMELESS = '<summary><span class="toctree-toggle"'
NAMED = NAMELESS.replace("<summary>", '<summary aria-label="Pages below">')
"""The button that unfolds a part of the contents, given a name."""


def forget_earlier_build(app: Sphinx) -> None:
    """Remove what this module wrote, so that Sphinx copies it anew."""
    static = Path(app.outdir) / "_static"
    for file in [*static.rglob("*.css"), static / ICON_SCRIPT]:
        file.unlink(missing_ok=True)


def load_mathjax_for_formulas(
    app: Sphinx,
    page: str,
    template: str,
    context: dict[str, Any],
    doctree: object,
) -> None:
    """Leave MathJax out where formulas are only on the pages below."""
    formulas = app.env.get_domain("math").data["has_equations"]
    if not formulas.get(page):
        context["script_files"] = [
            script
            for script in context.get("script_files", [])
            if "mathjax/" not in str(getattr(script, "filename", script))
        ]


def slim(app: Sphinx, exception: Exception | None) -> None:
    """Leave of the theme what the pages and the scripts name."""
    if exception is not None or app.builder.format != "html":
        return
    out, static = Path(app.outdir), Path(app.outdir) / "_static"
    pages = list(out.rglob("*.html"))
    kinds = plain_kinds(
        (static / "pygments.css").read_text(encoding="utf-8")
    )
    for page in pages:
        text = page.read_text(encoding="utf-8").replace(NAMELESS, NAMED)
        text = without_plain_spans(text, kinds)
        if page.name != "search.html":
            text = SEARCH_SCRIPT.sub("", text)
        page.write_text(text, encoding="utf-8")
    (static / ICON_SCRIPT).write_text("// The icons come from a font.\n")
    files = [*pages, *static.rglob("*.js")]
    words = words_of(file.read_text(encoding="utf-8") for file in files)
    icons: set[int] = set()
    for file in static.rglob("*.css"):  # each build has copied them anew
        style = slim_style(file.read_text(encoding="utf-8"), words)
        file.write_text(style, encoding="utf-8")
        icons |= icons_of(style)
    slim_fonts(static / WEBFONTS, icons)


def slim_fonts(folder: Path, characters: set[int]) -> None:
    """The fonts of the icons, with these characters only."""
    for font in (THEME_STATIC / WEBFONTS).glob("*.ttf"):
        cut_font(font, folder / f"{font.stem}.woff", characters)
        for whole in (".ttf", ".woff2"):
            (folder / f"{font.stem}{whole}").unlink(missing_ok=True)


def copy_mathjax(app: Sphinx, exception: Exception | None) -> None:
    """Copy the parts of MathJax and the fonts that the pages load."""
    if exception is not None or app.builder.format != "html":
        return
    files = distribution("sphinx-mathjax-offline").files or []
    script = next(file for file in files if file.name == "startup.js")
    source = Path(str(script.locate())).parent
    target = Path(app.outdir) / "_static" / "mathjax"
    parts = app.config.mathjax3_config["loader"]["load"]
    for part in ["startup", *parts, f"{MATHJAX_FONTS}/tex"]:
        (target / part).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / f"{part}.js", target / f"{part}.js")
    fonts = f"{MATHJAX_FONTS}/woff-v2"
    shutil.copytree(source / fonts, target / fonts, dirs_exist_ok=True)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register all of it with Sphinx."""
    app.connect("builder-inited", forget_earlier_build)
    app.connect(
        "html-page-context", load_mathjax_for_formulas, priority=900
    )
    app.connect("build-finished", slim, priority=900)
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
