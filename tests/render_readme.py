"""README.md is rendered from nbs/index.ipynb; with --check, fail if the file differs."""

import re
import sys
from pathlib import Path

from nbconvert import MarkdownExporter
from traitlets.config import Config

ROOT = Path(__file__).resolve().parent.parent


def render() -> str:
    """The notebook as markdown: cells marked `#| hide` left out, links seen from the top folder."""
    config = Config()
    config.RegexRemovePreprocessor.patterns = [r"^#\| hide"]
    config.MarkdownExporter.preprocessors = ["nbconvert.preprocessors.RegexRemovePreprocessor"]
    text, resources = MarkdownExporter(config=config).from_filename(str(ROOT / "nbs" / "index.ipynb"))
    if resources.get("outputs"):
        raise SystemExit("index.ipynb has picture outputs; link a file of results/ or nbs/images/ instead")
    text = re.sub(r"\]\(\.\./", "](", text)
    text = re.sub(r"\]\((?=[0-9]{2}|images/)", "](nbs/", text)
    text = "\n".join(line.rstrip() for line in text.splitlines())
    note = "<!-- rendered from nbs/index.ipynb by `make readme`; edit that -->\n"
    return note + re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


if __name__ == "__main__":
    path = ROOT / "README.md"
    if "--check" in sys.argv:
        sys.exit(0 if path.read_text() == render() else "README.md is not what nbs/index.ipynb gives: run `make readme`")
    path.write_text(render())
