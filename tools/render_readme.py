"""README.md is rendered from nbs/index.ipynb; with --check, fail if the file differs."""

import re
import sys
from pathlib import Path

import nbformat
from nbconvert import MarkdownExporter
from traitlets.config import Config

ROOT = Path(__file__).resolve().parent.parent


def render() -> str:
    """The notebook as markdown: of cells tagged `hide-input` only what they print; links from the
    top folder."""
    config = Config()
    config.TagRemovePreprocessor.enabled = True
    config.TagRemovePreprocessor.remove_input_tags = {"hide-input"}
    config.CoalesceStreamsPreprocessor.enabled = True
    notebook = nbformat.read(ROOT / "nbs" / "index.ipynb", as_version=4)
    notebook.metadata["language_info"] = {"name": "python"}  # nbdev_clean removes it
    text, resources = MarkdownExporter(config=config).from_notebook_node(notebook)
    if resources.get("outputs"):
        raise SystemExit(
            "index.ipynb has picture outputs; link a file of results/ or nbs/images/ instead"
        )
    text = re.sub(r"\]\(\.\./", "](", text)
    text = re.sub(r"\]\((?=course/|kit/|howto/|images/)", "](nbs/", text)
    text = "\n".join(line.rstrip() for line in text.splitlines())
    note = "<!-- rendered from nbs/index.ipynb by `make readme`; edit that -->\n"
    return note + re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


if __name__ == "__main__":
    path = ROOT / "README.md"
    if "--check" in sys.argv:
        sys.exit(
            0
            if path.read_text() == render()
            else "README.md is not what nbs/index.ipynb gives: run `make readme`"
        )
    path.write_text(render())
