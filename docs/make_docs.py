"""The documentation site, offline: pages from the notebooks, the modules' own comments and the results; then mkdocs.

`python docs/make_docs.py` writes _docs/site and checks every link in it.
"""

import csv
import dataclasses
import html.parser
import importlib
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import latex2mathml.converter
import yaml
from explorer_page import explorer_page
from fastcore.docments import docments

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "_docs"
PAGES = {  # file of the repository -> page
    "SECURITY.md": "security.md",
    "CONTRIBUTING.md": "contributing.md",
    "data/README.md": "data.md",
    "results/LOG.md": "log.md",
    "assignments/README.md": "assignments.md",
    "docs/faq.md": "faq.md",
    "docs/commands.md": "commands.md",
    "docs/measured.md": "measured.md",
    "docs/faults.md": "faults.md",
    "docs/growth.md": "growth.md",
    "docs/kit.md": "kit.md",
}


def math(text: str) -> str:
    """Formulas as MathML, which browsers draw themselves; code is left alone."""
    parts = re.split(r"(```.*?```|`[^`\n]*`)", text, flags=re.S)
    for place in range(0, len(parts), 2):
        part = re.sub(
            r"\$\$(.+?)\$\$",
            lambda m: latex2mathml.converter.convert(m[1].strip(), display="block"),
            parts[place],
            flags=re.S,
        )
        parts[place] = re.sub(
            r"(?<![\\$\w])\$([^$\n]+?)\$(?!\w)",
            lambda m: latex2mathml.converter.convert(m[1]),
            part,
        )
    return "".join(parts)


def tables(text: str) -> str:
    """A line `<!-- csv: FILE -->` becomes the table that the file holds."""

    def table(match):
        with open(ROOT / match[1], newline="") as file:
            first, *rows = csv.reader(file)
        lines = [first, ["---", *("--:" for _ in first[1:])], *rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    return re.sub(r"^<!-- csv: (\S+) -->$", table, text, flags=re.M)


def relink(text: str, folder: str, ending: str) -> str:
    """Links between files of the repository as links between pages; to what has no page: the plain
    words."""

    def page(match):
        words, target = match[1], match[2]
        path, hash_, anchor = target.partition("#")
        if "://" in target or not path:
            return match[0]
        inside = Path(ROOT / folder / path).resolve()
        name = inside.relative_to(ROOT).as_posix() if inside.is_relative_to(ROOT) else ""
        inside_notebooks = folder.startswith("nbs/")
        up = "../../" if inside_notebooks else "../" if folder == "nbs" else ""
        if name == "README.md" or name == "nbs/index.ipynb":
            return f"[{words}]({up}index{'.md' if ending == '.ipynb' else '.html'})"
        if name.startswith("nbs/") and name.endswith(".ipynb"):
            page = name.removeprefix("nbs/").removesuffix(".ipynb")
            return f"[{words}]({'../' if inside_notebooks else 'chapters/'}{page}{ending}{hash_}{anchor})"
        if name in PAGES:
            return f"[{words}]({up}{PAGES[name] if ending == '.ipynb' else PAGES[name].replace('.md', '.html')}{hash_}{anchor})"
        if name.startswith("nbs/images/"):
            return f"[{words}]({up}images/{inside.name})"
        return words

    return re.sub(r"\[([^\]]+)\]\(([^)\s]+)\)", page, text)


def title_of(notebook: dict) -> str:
    """The first heading of a notebook."""
    return next(
        line[2:].strip()
        for cell in notebook["cells"]
        for line in "".join(cell["source"]).splitlines()
        if line.startswith("# ")
    )


def chapter(path: Path) -> str:
    """Write a notebook as a page, without the marks that are for nbdev; returns its title."""
    notebook, cells = json.loads(path.read_text()), []
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            text = relink(
                math(text), path.parent.relative_to(ROOT).as_posix(), ".html"
            )  # these are turned into HTML before mkdocs sees them
        else:
            text = re.sub(r"^#\|.*\n?", "", text, flags=re.M).strip("\n")
            if not text:
                continue
        cells.append(cell | {"source": text.splitlines(True)})
    to = OUT / "pages" / "chapters" / path.relative_to(ROOT / "nbs")
    to.parent.mkdir(exist_ok=True)
    to.write_text(json.dumps(notebook | {"cells": cells}))
    return title_of(notebook)


def described(thing) -> list[str]:
    """The parameters of a function, a class or the fields of a dataclass as a table, from the
    comments behind them."""
    try:
        source = inspect.getsource(thing)
        parts = docments(thing, full=True, returns=False)
    except Exception:  # neither a function nor a class of ours
        return []
    whole = re.match(
        r"(?:@.*\n)*def .*:  # (.*)", source
    )  # a comment behind the whole signature: shapes
    if whole:
        return ["", f"*{whole[1].replace('*', chr(92) + '*')}*"]
    rows = [
        (name, part)
        for name, part in parts.items()
        if name not in ("self", "args", "kwargs") and part.get("docment")
    ]
    if not rows:
        return []
    empty = inspect.Parameter.empty
    lines = ["", "| name | default | meaning |", "|---|---|---|"]
    for name, part in rows:
        default = part.get("default")
        shown = (
            ""
            if default in (empty, dataclasses.MISSING)
            else f"`{default!r}`"
            if len(repr(default)) < 40
            else "..."
        )
        lines.append(
            f"| `{name}` | {shown} | {' '.join(str(part['docment']).split())} |".replace(
                "|| ", "\\|\\| "
            )
        )
    return lines


def signature_of(thing) -> str:
    """How a thing is called, as it stands in the code."""
    try:
        text = str(inspect.signature(thing))
    except (TypeError, ValueError):
        return ""
    return re.sub(
        r"collab_seg\.[\w.]+\.|torch\.nn\.modules\.\w+\.|<class '([\w.]+)'>",
        lambda m: m[1] or "",
        text,
    )


def reference(name: str) -> list[str]:
    """The page of a module: its sentence, then its public names in the order of the code."""
    module = importlib.import_module(f"collab_seg.{name}")
    lines = [f"# collab_seg.{name}", "", inspect.getdoc(module) or "", ""]
    for public in module.__all__:
        thing = getattr(module, public)
        lines.append(f"## {public}")
        if not callable(thing):
            value = repr(thing).replace("`", "'")
            names = (
                ", ".join(f"`{key}`" for key in list(thing)[:30]) if isinstance(thing, dict) else ""
            )
            lines += [
                "",
                f"A {type(thing).__name__}"
                + (
                    f" with {names}."
                    if names
                    else f": `{value[:200]}`{' ...' * (len(value) > 200)}"
                ),
                "",
            ]
            continue
        lines += [
            "",
            f"```python\n{public}{signature_of(thing)}\n```",
            "",
            inspect.getdoc(thing) or "",
        ]
        lines += described(thing)
        if inspect.isclass(thing):
            own = [
                value
                for key, value in vars(thing).items()
                if not key.startswith("_") and inspect.isfunction(value)
            ]
            lines += [
                "",
                *(
                    f"- `{method.__name__}{signature_of(method)}`: "
                    f"{(inspect.getdoc(method) or '').splitlines()[0] if inspect.getdoc(method) else ''}"
                    for method in own
                ),
            ]
        lines.append("")
    return lines


def write_pages() -> dict:
    """All pages; returns what mkdocs is told."""
    shutil.rmtree(OUT, ignore_errors=True)
    (OUT / "pages" / "chapters").mkdir(parents=True)
    (OUT / "pages" / "api").mkdir()
    pages = OUT / "pages"
    shutil.copytree(ROOT / "nbs" / "images", pages / "images")
    shutil.copy(ROOT / "docs" / "site.css", pages)
    course, kit, howtos = (
        [
            {chapter(path): f"chapters/{room}/{path.name}"}
            for path in sorted((ROOT / "nbs" / room).glob("*.ipynb"))
        ]
        for room in ("course", "kit", "howto")
    )
    (pages / "index.md").write_text(math(relink((ROOT / "README.md").read_text(), ".", ".ipynb")))
    for file, page in PAGES.items():
        text = tables((ROOT / file).read_text())
        (pages / page).write_text(math(relink(text, str(Path(file).parent), ".ipynb")))
    (pages / "explorer.md").write_text(explorer_page())
    files = [
        path.relative_to(ROOT / "collab_seg").with_suffix("")
        for path in (ROOT / "collab_seg").rglob("[a-z]*.py")
    ]
    modules = sorted(".".join(path.parts) for path in files if path.parts[0] != "examples")
    for name in modules:
        (pages / "api" / f"{name}.md").write_text("\n".join(reference(name)) + "\n")
    nav = [
        {"Start": "index.md"},
        {"Course": course},
        {"Explorer": "explorer.md"},
        {"How-to": howtos},
        {"Kit": [{"All of it": "kit.md"}, *kit]},
        {"Exercises": "assignments.md"},
        {"Reference": [{name: f"api/{name}.md"} for name in modules]},
        {"Data": "data.md"},
        {"Questions": "faq.md"},
        {"Commands": "commands.md"},
        {
            "Results": [
                {"On one page": "measured.md"},
                {"How far does it grow?": "growth.md"},
                {"Log of trials": "log.md"},
                {"Faults": "faults.md"},
            ]
        },
        {"Project": [{"Contributing": "contributing.md"}, {"Security": "security.md"}]},
    ]
    told = yaml.safe_load((ROOT / "docs" / "mkdocs.yml").read_text())
    return told | {"docs_dir": "pages", "site_dir": "site", "nav": nav}


class Links(html.parser.HTMLParser):
    """What a page links to, what it loads, and the places in it that can be linked to."""

    def __init__(self):
        super().__init__()
        self.links, self.loads, self.places = set(), set(), set()

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("id", "name") and value:
                self.places.add(value)
            elif value and (name == "src" or (name == "href" and tag == "link")):
                self.loads.add(value)
            elif value and name == "href":
                self.links.add(value)


def check_links(site: Path) -> list[str]:
    """Links that lead nowhere, and anything that a page would fetch from elsewhere."""
    found = {}
    for path in sorted(site.rglob("*.html")):
        found[path] = Links()
        found[path].feed(path.read_text())
    wrong = []
    for path, page in found.items():
        for target in sorted(page.loads | page.links):
            parts = urlsplit(target)
            if parts.scheme in ("data", "mailto", "javascript"):
                continue
            if parts.scheme or target.startswith("//"):
                if target in page.loads and not (
                    parts.path.endswith("/") and "canonical" in target
                ):
                    wrong.append(f"{path.name} loads {target}")
                continue
            start = (
                site if parts.path.startswith("/") else path.parent
            )  # 404.html may be shown anywhere
            to = (start / unquote(parts.path).lstrip("/")).resolve() if parts.path else path
            if not to.exists():
                wrong.append(f"{path.name} links to {target}, which is not there")
            elif (
                parts.fragment
                and to in found
                and unquote(parts.fragment) not in found[to].places | {"__skip", "__search"}
            ):
                wrong.append(f"{path.name} links to {target}: no such place")
    return wrong


def main() -> int:
    """Build and check; returns the exit code."""
    told = write_pages()
    (OUT / "mkdocs.yml").write_text(yaml.safe_dump(told, sort_keys=False))
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--quiet",
        "--config-file",
        str(OUT / "mkdocs.yml"),
    ]
    subprocess.run(command, check=True, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"})
    wrong = check_links(OUT / "site")
    print(*wrong, sep="\n", end="\n" if wrong else "")
    print(
        f"{len(list((OUT / 'site').rglob('*.html')))} pages in {OUT.relative_to(ROOT)}/site, "
        f"{len(wrong)} wrong links"
    )
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
