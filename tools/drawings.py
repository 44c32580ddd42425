"""Drawings of ideas: SVG files, light and dark, with a text alternative.

`python tools/drawings.py` writes nbs/images; with --check, it fails where a file is another. A
drawing is one function below: its title and docstring are the text that a screen reader speaks.
"""

import inspect
import math
import sys
from pathlib import Path
from xml.sax.saxutils import escape

IMAGES = Path(__file__).resolve().parent.parent / "nbs" / "images"
WIDTH = 480  # units; a page of 390 pixels still shows 13 units as more than 10 pixels
COLOURS = {  # kind: light, dark; the students' are those of collab_seg.show
    "page": ("#ffffff", "#1b1e24"),
    "ink": ("#1b1e24", "#e8eaed"),
    "paper": ("#eceff3", "#343a45"),
    "line": ("#5f6773", "#a3abb7"),
    "cnn": ("#0072b2", "#0072b2"),
    "vit": ("#e69f00", "#e69f00"),
    "hit": ("#009e73", "#009e73"),
    "nobody": ("#969696", "#969696"),
    "sky": ("#b9d3ea", "#5d7890"),
    "wall": ("#cdbba7", "#857461"),
    "road": ("#8d9199", "#4c5058"),
    "tree": ("#7fae7a", "#4f7a4b"),
    "pole": ("#9c3d2e", "#c96f5e"),
    "dusk": ("#e3c3d3", "#7d5c6d"),
    "brick": ("#a596c4", "#6d5f8d"),
    "unsure": ("#000000", "#000000"),
    "mud": ("#6d5f52", "#3a322b"),
}
ON = {"cnn": "#ffffff", "vit": "#1b1e24", "hit": "#ffffff", "nobody": "#1b1e24"}  # text on it
STREET = ("ssssssssss", "wwssssssst", "wwwsssssst", "wwwwsssspt", "wwwwwssspt", "wwwwrrrrpr",
          "wwrrrrrrpr", "rrrrrrrrrr")  # fmt: skip
LETTERS = {"s": "sky", "w": "wall", "r": "road", "t": "tree", "p": "pole", "C": "cnn", "V": "vit",
           "n": "nobody", ".": "paper", "i": "ink", "u": "unsure", "h": "hit",
           "d": "dusk", "b": "brick", "m": "mud"}  # fmt: skip


def style() -> str:
    """Fill and stroke of each kind, in both schemes."""

    def rules(which):
        fills = (f".{k}{{fill:{v[which]}}}.s-{k}{{stroke:{v[which]}}}" for k, v in COLOURS.items())
        return "".join(fills)

    on = "".join(f".on-{kind}{{fill:{colour}}}" for kind, colour in ON.items())
    fixed = "text{font-family:system-ui,sans-serif}.on-paper,.on-page{fill:inherit}"
    dark = f"@media (prefers-color-scheme:dark){{{rules(1)}}}"
    return f"<style>{fixed}{rules(0)}{on}{dark}</style>"


class Drawing:
    """Boxes, cells, arrows and words on a card of WIDTH units; made of a function's docstring."""

    def __init__(self, height: int):
        self.height, self.parts = height, []

    def text(self, x, y, words, size=14, anchor="middle", kind="ink", bold=False):
        """Lines of words, the first with its middle at y."""
        weight = ' font-weight="700"' if bold else ""
        for number, line in enumerate(words.split("\n")):
            place = f'x="{x:g}" y="{y + number * (size + 3):g}" dy=".35em" text-anchor="{anchor}"'
            self.parts.append(
                f'<text class="{kind}" font-size="{size}"{weight} {place}>{escape(line)}</text>'
            )

    def box(self, x, y, w, h, words="", kind="paper", size=14, dashed=False, opacity=1.0):
        """A box with words in its middle; dashed: what is held fixed."""
        edge = ' stroke-dasharray="5 4" stroke-width="2"' if dashed else ""
        clear = f' fill-opacity="{opacity:g}"' if opacity < 1 else ""
        self.parts.append(
            f'<rect class="{kind} s-line" x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" '
            f'rx="{min(5, w / 4, h / 4):g}"{edge}{clear}/>'
        )
        top = y + h / 2 - words.count("\n") * (size + 3) / 2
        ink = f"on-{kind}" if kind in ON and opacity == 1 else "ink"
        if words:
            self.text(x + w / 2, top, words, size, kind=ink)

    def cells(self, x, y, rows, size, kind=None, dashed=False):
        """A grid: letters are kinds; with a kind, digits are how strongly it shows."""
        for r, row in enumerate(rows):
            for c, letter in enumerate(row):
                digit = kind and letter.isdigit()
                fill, much = (kind, (int(letter) + 1) / 10) if digit else (LETTERS[letter], 1)
                clear = f' fill-opacity="{much:g}"' if much < 1 else ""
                self.parts.append(
                    f'<rect class="{fill} s-page" stroke-width=".6" stroke-opacity=".5" '
                    f'x="{x + c * size:g}" y="{y + r * size:g}" '
                    f'width="{size:g}" height="{size:g}"{clear}/>'
                )
        edge = ' stroke-dasharray="5 4" stroke-width="2"' if dashed else ""
        frame = f'width="{len(rows[0]) * size:g}" height="{len(rows) * size:g}"'
        self.parts.append(f'<rect class="s-line" fill="none" x="{x:g}" y="{y:g}" {frame}{edge}/>')

    def arrow(self, x1, y1, x2, y2, kind="line", width=2.0, both=False, dashed=False):
        """A line with a head at its end, or at both."""
        edge = ' stroke-dasharray="5 4"' if dashed else ""
        length, head = math.dist((x1, y1), (x2, y2)), 5 + 2 * width
        ux, uy = (x2 - x1) / length, (y2 - y1) / length
        ends = [(x2, y2, 1)] + [(x1, y1, -1)] * both
        a, b = (head if both else 0), length - head
        self.parts.append(
            f'<line class="s-{kind}" stroke-width="{width:g}"{edge} '
            f'x1="{x1 + a * ux:.1f}" y1="{y1 + a * uy:.1f}" '
            f'x2="{x1 + b * ux:.1f}" y2="{y1 + b * uy:.1f}"/>'
        )
        for x, y, sign in ends:
            bx, by, half = x - sign * head * ux, y - sign * head * uy, head / 2
            points = ((x, y), (bx - half * uy, by + half * ux), (bx + half * uy, by - half * ux))
            corners = " ".join(f"{px:.1f},{py:.1f}" for px, py in points)
            self.parts.append(f'<polygon class="{kind}" points="{corners}"/>')

    def rule(self, x1, y, x2):
        """A level line without a head."""
        self.parts.append(
            f'<line class="s-line" stroke-width="2" x1="{x1:g}" y1="{y:g}" x2="{x2:g}" y2="{y:g}"/>'
        )

    def svg(self, title: str, words: str) -> str:
        """The whole file; `words` say what the drawing says."""
        high = round(700 * self.height / WIDTH)
        size = f'viewBox="0 0 {WIDTH} {self.height}" width="700" height="{high}"'
        said = f'<title id="t">{escape(title)}</title>\n<desc id="d">{escape(words)}</desc>'
        card = f'<rect class="page" width="{WIDTH}" height="{self.height}" rx="8"/>'
        head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="t d">\n'
        return head + "\n".join((said, style(), card, *self.parts)) + "\n</svg>\n"


DRAWINGS = {}


def drawing(title: str):
    """Register a function that returns a Drawing; its docstring is the text alternative."""

    def register(make):
        DRAWINGS[make.__name__] = (title, make)
        return make

    return register


@drawing("Intersection over union, and its mean")
def miou() -> Drawing:
    """Truth: 30 cells are pole. Prediction: 30 cells, half of them beside the pole. One over the
    other: 15 misses, 15 hits, 15 false alarms. The IoU is the hits divided by all three, 15/45 =
    0.33. The mIoU is the mean of the classes' IoUs: the thin pole counts as much as the sky."""
    d = Drawing(318)
    empty, truth = "." * 11, ".CCCCCC...."
    pictures = {"truth": truth, "prediction": "....VVVVVV.", "one over the other": ".CCChhhVVV."}
    for number, (name, row) in enumerate(pictures.items()):
        x = 16 + 158 * number
        d.text(x + 66, 20, name)
        d.cells(x, 36, [empty, *[row] * 5, empty], 12)
    d.text(64, 78, "pole", 14, kind="on-cnn")
    d.text(258, 70, "called\npole", 14, kind="on-vit")
    for x, words, kind in ((362, "miss", "cnn"), (398, "hit", "hit"), (434, "false\nalarm", "vit")):
        d.text(x, 78 - 8 * words.count("\n"), words, 12, kind=f"on-{kind}")
    d.box(96, 140, 60, 20, "15", "hit")
    d.rule(16, 169, 236)
    for number, kind in enumerate(("cnn", "hit", "vit")):
        d.box(30 + 66 * number, 178, 60, 20, "15", kind)
    d.text(252, 169, "= 15 / 45 = 0.33", 15, "start", bold=True)
    d.text(252, 190, "the IoU of the pole", 14, "start")
    for number, (name, iou) in enumerate(
        {"sky": 0.95, "road": 0.91, "pole": 0.33, "mIoU": 0.73}.items()
    ):
        y, last = 216 + 25 * number, name == "mIoU"
        d.text(66, y + 9, name, 14, "end", bold=last)
        d.box(76, y, 320 * iou, 18, kind="line" if last else "paper")
        d.text(84 + 320 * iou, y + 9, f"{iou:.2f}{', the mean' * last}", 14, "start", bold=last)
    return d


def reach(dilation: int, side: int = 9) -> list[str]:
    """Where a 3x3 filter of this dilation looks; 0: at one cell."""
    middle = side // 2
    seen = {middle - dilation, middle, middle + dilation}
    return [
        "".join("C" if r in seen and c in seen else "." for c in range(side)) for r in range(side)
    ]


@drawing("The CNN student: see wide, then bring the edges back")
def cnn() -> Drawing:
    """An image becomes a low map at a quarter of its size, then a deep map at a sixteenth. ASPP
    looks at the deep map in five ways side by side: at one cell, at three 3x3 patterns set ever
    wider apart, and at the whole map. The decoder joins this with the low map, where edges are
    sharp, and gives the high map and the logits."""
    d = Drawing(322)
    d.cells(16, 34, STREET, 10)
    d.text(66, 20, "image")
    d.arrow(120, 74, 146, 74, "cnn")
    d.cells(150, 54, ["5283", "7416", "3857", "6274"], 11, "cnn")
    d.text(172, 40, "low, 1/4")
    d.arrow(198, 74, 304, 74, "cnn")
    d.text(250, 62, "encoder")
    d.cells(308, 62, ["74", "58"], 12, "cnn")
    d.text(320, 48, "deep, 1/16")
    d.arrow(320, 90, 320, 118, "cnn")
    d.text(218, 128, "ASPP: five views at once", 14, "start", bold=True)
    wholes = ["C" * 9] * 9
    for number, rows in enumerate((reach(0), reach(1), reach(2), reach(4), wholes)):
        d.cells(218 + 51 * number, 142, rows, 5)
    d.text(240, 200, "1 cell", 13)
    d.text(342, 200, "wider and wider", 13)
    d.text(444, 200, "all", 13)
    d.arrow(172, 100, 172, 246, "cnn")
    d.text(164, 160, "where\nthe edges\nare", 13, "end")
    d.arrow(260, 212, 215, 246, "cnn")
    d.text(252, 232, "what it is", 13, "start")
    d.box(132, 250, 112, 40, "decoder", "cnn")
    d.arrow(246, 270, 284, 270, "cnn")
    d.cells(288, 248, ["5283", "7416", "3857", "6274"], 11, "cnn")
    d.text(310, 304, "high")
    d.arrow(336, 270, 370, 270, "cnn")
    d.cells(374, 246, ["ssss", "wsst", "wwpt", "rrpr"], 12)
    d.text(398, 304, "logits")
    d.text(428, 262, "a score\na class", 13, "start")
    return d


@drawing("The ViT student: every cell asks, few keys answer")
def vit() -> Drawing:
    """An image goes through four stages; the maps are a quarter, an eighth, a sixteenth and a
    thirty-second of its size. All four go to the decoder, which gives the high map and the
    logits. In a stage each cell sends a query to all keys. A key stands for a whole window of
    cells, so 64 queries meet 4 keys in place of 64."""
    d = Drawing(408)
    d.cells(16, 34, STREET, 10)
    d.text(66, 20, "image")
    x = 120
    for number, (side, name) in enumerate(zip((8, 4, 2, 1), ("1/4: low", "1/8", "1/16", "1/32"))):
        left = (146, 258, 346, 434)[number]
        cell = (9, 11, 13, 15)[number]
        rows = ["".join(str(2 + (r + c) * 3 // side) for c in range(side)) for r in range(side)]
        d.arrow(x, 74, left - 4, 74, "vit")
        d.cells(left, 74 - side * cell / 2, rows, cell, "vit")
        x = left + side * cell + 4
        d.text(left + side * cell / 2, 20, name)
        d.arrow(left + side * cell / 2, 78 + side * cell / 2, left + side * cell / 2, 136, "vit")
    d.box(146, 140, 318, 28, "decoder", "vit")
    d.arrow(305, 170, 305, 190, "vit")
    d.text(305, 200, "high, then logits: a score a class")
    d.text(16, 240, "Inside a stage: attention", 15, "start", bold=True)
    d.cells(60, 262, ["88886666"] * 4 + ["44442222"] * 4, 14, "vit")
    d.cells(74, 304, ["i"], 14)
    d.text(116, 392, "64 cells, each asks all keys")
    for number, strength in enumerate("8642"):
        y = 258 + 31 * number
        d.cells(300, y, [strength], 27, "vit")
        d.arrow(92, 311, 296, y + 13, "line", 1.6)
    d.text(342, 302, "4 keys, each\nmade of\na window", 14, "start")
    return d


@drawing("HFD: two translators, one for each direction")
def hfd() -> Drawing:
    """Upper row: the CNN learns context. Its low map goes through an attention block and becomes
    a map like the ViT's; the distance to the ViT's low map, held fixed, is the CNN's loss. Lower
    row: the ViT learns detail. Its low map goes through a 3x3 MLP and becomes a map like the
    CNN's; the CNN's low map is held fixed."""
    d = Drawing(334)
    grainy = ["52837", "74162", "38579", "62741", "85236"]
    smooth = ["77665", "76655", "66554", "65544", "55443"]
    rows = (
        ("context", "cnn", grainy, "attention\nover the\nwhole map", "vit", smooth),
        ("detail", "vit", smooth, "MLP with\none 3x3\nconvolution", "cnn", grainy),
    )
    for number, (what, own, low, translator, peer, wanted) in enumerate(rows):
        y, name, other = 46 + 150 * number, *(("CNN", "ViT") if number == 0 else ("ViT", "CNN"))
        d.text(16, y - 24, f"The {name} learns {what} from the {other}", 15, "start", bold=True)
        d.cells(16, y, low, 14, own)
        d.text(51, y + 86, f"{name} low")
        d.arrow(90, y + 35, 112, y + 35, own)
        d.box(116, y + 3, 104, 64, translator, size=14)
        d.arrow(222, y + 35, 244, y + 35, own)
        d.cells(248, y, wanted, 14, own)
        d.text(283, y + 86, f"like the {other}'s")
        d.arrow(322, y + 35, 390, y + 35, both=True)
        d.text(356, y + 20, "distance", 13)
        d.text(356, y + 52, f"{name}'s loss", 12)
        d.cells(394, y, wanted, 14, peer, dashed=True)
        d.text(429, y + 86, f"{other} low")
        d.text(429, y + 102, "held fixed", 13)
    d.text(16, 312, "Both translators are thrown away after training.", 14, "start")
    return d


@drawing("Region BSD: in each region, the smaller error teaches")
def region_bsd() -> Drawing:
    """Both students' high maps are cut into regions of 4x4 cells, A to D. A: the CNN's mean
    cross-entropy is 0.1, the ViT's 0.5, so the CNN teaches. B: 0.7 against 0.2, so the ViT
    teaches. C: 0.9 against 0.3, the ViT. D is void: nobody teaches. The feature of the learner
    moves towards the teacher's, which is held fixed."""
    d = Drawing(250)
    d.text(72, 20, "CNN: high map", bold=True)
    d.text(408, 20, "ViT: high map", bold=True)
    d.text(240, 20, "mean cross-entropy", 14)
    errors = {"A": (0.1, 0.5), "B": (0.7, 0.2), "C": (0.9, 0.3), "D": None}
    for x, own in ((16, 0), (352, 1)):
        a, b, c = (round(9 * (1 - errors[name][own])) for name in "ABC")
        rows = [f"{a}{a}{a}{a}{b}{b}{b}{b}"] * 4 + [f"{c}{c}{c}{c}nnnn"] * 4
        d.cells(x, 36, rows, 14, ("cnn", "vit")[own])
        for name, (r, s) in zip("ABCD", ((0, 0), (0, 1), (1, 0), (1, 1))):
            d.box(x + 56 * s, 36 + 56 * r, 56, 56, kind="page", opacity=0.01)
            d.box(x + 18 + 56 * s, 54 + 56 * r, 20, 20, name, "page", 14)
    for number, (name, both) in enumerate(errors.items()):
        y = 52 + 28 * number
        d.text(142, y, name, 14, bold=True)
        if not both:
            d.text(240, y, "void: nobody", 14)
            continue
        ours, theirs = both
        d.text(172, y, f"{ours}", 15, bold=ours < theirs)
        d.text(308, y, f"{theirs}", 15, bold=theirs < ours)
        ends = (190, 290) if ours < theirs else (290, 190)
        d.arrow(ends[0], y, ends[1], y, "cnn" if ours < theirs else "vit", 3.5)
    d.text(16, 178, "The teacher points at the learner, whose feature moves.", 14, "start")
    d.text(16, 204, "Stronger colour: smaller error. Grey: no label, nobody teaches.", 14, "start")
    d.text(16, 230, "CNN's loss: mean over B and C. ViT's loss: A alone.", 14, "start")
    return d


@drawing("Pixel BSD: at each pixel, the better prediction is passed on")
def pixel_bsd() -> Drawing:
    """A grid of pixels: blue where the CNN has the smaller error, orange where the ViT has it,
    grey where there is no label. One pixel enlarged: its label says pavement. The CNN says
    pavement 0.70, road 0.25, building 0.05; its error is 0.36. The ViT says 0.40, 0.55, 0.05;
    its error is 0.92. So the CNN's whole prediction, held fixed, is the ViT's target, by KL
    divergence."""
    d = Drawing(276)
    d.text(80, 20, "who teaches", bold=True)
    d.cells(16, 36, ["CCCVVCCC", "CCVVVCCC", "CCVVVVCC", "CCCVVCCn", "CCCCCCnn", "VCCCCVnn"], 16)
    d.box(61, 97, 22, 22, kind="ink")
    d.box(64, 100, 16, 16, kind="cnn")
    d.arrow(84, 108, 178, 108, "line", 1.6)
    d.text(16, 152, "blue: the CNN\norange: the ViT\ngrey: no label", 14, "start")
    d.text(330, 20, "one pixel, three answers", bold=True)
    columns = (
        ("label", "line", (1, 0, 0)),
        ("CNN", "cnn", (0.70, 0.25, 0.05)),
        ("ViT", "vit", (0.40, 0.55, 0.05)),
    )
    for row, name in enumerate(("pavement", "road", "building")):
        d.text(254, 74 + 26 * row, name, 14, "end")
    for column, (name, kind, shares) in enumerate(columns):
        x = 264 + 70 * column
        d.text(x + 28, 44, name, 14)
        for row, share in enumerate(shares):
            d.box(x, 65 + 26 * row, max(1, 26 * share), 18, kind=kind)
            d.text(x + 32, 74 + 26 * row, f"{share:.2f}" if column else f"{share}", 13, "start")
    d.text(254, 160, "error, -ln p", 14, "end")
    d.text(354, 160, "0.36", 15, bold=True)
    d.text(430, 160, "0.92", 15)
    d.box(326, 178, 56, 26, "CNN", "cnn", dashed=True)
    d.box(402, 178, 56, 26, "ViT", "vit")
    d.arrow(384, 191, 400, 191, "cnn", 2)
    d.text(316, 191, "teaches, by KL:", 14, "end")
    d.text(16, 232, "The label says only: pavement. The CNN adds: it may be road.", 14, "start")
    d.text(16, 256, "The teacher is held fixed; only the learner moves.", 14, "start")
    return d


@drawing("One step of the loop: two students, one total")
def pair() -> Drawing:
    """One batch of images and labels goes to both students. Each gives a low map, a high map and
    logits. Three terms compare the students, each in both directions: HFD the low maps, region
    BSD the high maps, pixel BSD the logits. Each student also has a cross-entropy of its own
    with the labels. All eight terms are added, and one backward pass moves both. Without the
    three terms in the middle, two networks train side by side: alone."""
    d = Drawing(312)
    d.box(12, 16, 82, 216, "one\nbatch:\nimages\nand\nlabels")
    for y, name, kind in ((16, "CNN", "cnn"), (172, "ViT", "vit")):
        d.arrow(96, y + 30, 112, y + 30)
        d.box(116, y, 254, 60, kind=kind)
        d.text(137, y + 30, name, 15, kind=f"on-{kind}", bold=True)
        for number, part in enumerate(("low", "high", "logits")):
            d.box(160 + 70 * number, y + 16, 60, 28, part, "page")
        d.arrow(372, y + 30, 388, y + 30, kind)
        d.box(392, y, 76, 60, "labels:\ncross-\nentropy")
    for number, term in enumerate(("HFD", "region\nBSD", "pixel\nBSD")):
        x = 190 + 70 * number
        d.arrow(x, 78, x, 100, both=True)
        d.box(x - 31, 102, 62, 44, term)
        d.arrow(x, 148, x, 170, both=True)
    d.text(378, 107, "three terms,\nboth ways", 14, "start")
    d.arrow(260, 236, 260, 254)
    d.text(272, 244, "all are added", 13, "start")
    d.box(190, 258, 140, 38, "one total")
    d.arrow(186, 277, 140, 277)
    d.text(76, 269, "one backward\npass for both")
    return d


@drawing("An image without a label: a weak view for the teachers, a strong one for the students")
def views() -> Drawing:
    """One photo without a label is seen in two ways. The weak view, cropped and perhaps flipped,
    goes to the two teachers: running means of the students' weights. What they say is the
    pseudo-label. The strong view, with other colours and a patch of another photo, goes to the
    students. The pseudo-label is their target: the CNN's loss and the ViT's. Where the pseudo-label
    was unsure, nothing counts. The teachers follow the students slowly."""
    d = Drawing(322)
    d.cells(14, 106, STREET, 8)
    d.text(54, 90, "photo", bold=True)
    d.text(54, 186, "no label", 14)
    d.arrow(78, 102, 122, 66)
    d.arrow(78, 198, 122, 228)
    weak = [row[::-1] for row in STREET]
    strong = ["".join(dict(zip("swr", "dbm")).get(x, x) for x in row) for row in weak]
    strong[4:7] = [row[:2] + "ttts" + row[6:] for row in strong[4:7]]
    d.text(166, 16, "weak view")
    d.cells(126, 30, weak, 8)
    d.text(166, 284, "strong view")
    d.cells(126, 204, strong, 8)
    for y, names in ((30, ("CNN's mean", "ViT's mean")), (204, ("CNN", "ViT"))):
        for number, (name, kind) in enumerate(zip(names, ("cnn", "vit"))):
            d.box(246, y + 36 * number, 96, 28, name, kind, dashed=y == 30)
            d.arrow(210, y + 32, 243, y + 14 + 36 * number)
            d.arrow(344, y + 14 + 36 * number, 378, y + 32, kind)
    d.text(294, 16, "teachers")
    d.text(294, 284, "students")
    d.arrow(294, 200, 294, 98, dashed=True)
    d.text(284, 140, "weights\nfollow slowly", 13, "end")
    said = ["ssssssssss", "tsssssssuu", "tsssssssuw", "tusssssuww", "tussssuwww", "ruuuuuuwww",
            "rurrrrrruu", "rrrrrrrrrr"]  # fmt: skip
    d.cells(382, 30, said, 8)
    d.text(422, 16, "pseudo-label")
    d.cells(382, 204, weak, 8)
    d.text(422, 284, "predictions")
    d.arrow(422, 98, 422, 200, "line", 3)
    d.text(412, 140, "is the\ntarget", 13, "end")
    d.text(240, 308, "Black: the teachers are unsure, so it does not count.")
    return d


@drawing("When a peer helps: where only one of the two is right")
def peer_helps() -> Drawing:
    """A frame holds all pixels without a label. A blue field: where the CNN is right. An orange
    field: where the ViT is right. They overlap widely: where both are right there is nothing to
    teach. Where only the CNN is right it can teach the ViT; where only the ViT is right it can
    teach the CNN. One less the other is the teachable share. Outside both fields neither knows. Teaching helps if one
    knows what the other does not, if one can tell which of the two is right, and if no label
    says it."""
    d = Drawing(350)
    d.box(12, 34, 456, 158, kind="page")
    d.text(240, 20, "all pixels of the images without a label")
    d.box(34, 48, 292, 116, kind="cnn", opacity=0.55)
    d.box(154, 60, 292, 116, kind="vit", opacity=0.55)
    d.text(94, 78, "only the\nCNN is right", 14, bold=True)
    d.text(386, 82, "only the\nViT is right", 14, bold=True)
    d.text(240, 104, "both are right:\nlittle new", 15)
    d.text(94, 128, "can teach\nthe ViT", 14)
    d.text(386, 132, "can teach\nthe CNN", 14)
    d.text(22, 178, "neither: nobody can", 13, "start")
    d.text(16, 214, "Blue alone, less orange alone: the ViT's teachable share.", 14, "start")
    d.text(16, 248, "A peer helps when", 15, "start", bold=True)
    lines = (
        "each knows something that the other does not,",
        "one can tell who is right,",
        "and no label says it already.",
    )
    for number, line in enumerate(lines):
        y = 276 + 28 * number
        d.box(16, y - 11, 22, 22, str(number + 1), "hit", 14)
        d.text(48, y, line, 14, "start")
    return d


def files() -> dict[str, str]:
    """What each file in nbs/images should hold."""
    return {
        f"{name}.svg": make().svg(title, " ".join(inspect.getdoc(make).split()))
        for name, (title, make) in DRAWINGS.items()
    }


def main() -> int:
    """Write the drawings, or say which are others; returns the exit code."""
    wrong = []
    for name, text in files().items():
        path = IMAGES / name
        if not path.exists() or path.read_text() != text:
            wrong.append(name)
            if "--check" not in sys.argv:
                path.write_text(text)
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return bool(wrong) and "--check" in sys.argv


if __name__ == "__main__":
    sys.exit(main())
