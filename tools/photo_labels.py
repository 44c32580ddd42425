"""Draws the label map of data/photos/coffee.jpg by hand-set outlines: python tools/photo_labels.py

Later outlines lie on earlier ones. Points are at three times the size of the photo."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

PHOTOS = Path(__file__).parent.parent / "data" / "photos"
CLASSES = ("table", "saucer", "cup", "coffee", "spoon")  # 255: void, the dark corner
WIDTH, HEIGHT, FINER = 360, 240, 3

RIM_OF_THE_CUP = (311, 33, 733, 375)  # the box of an ellipse
OUTLINES = {
    "void": [[(0, 0), (278, 0), (230, 35), (165, 80), (80, 138), (0, 194)]],
    "saucer": [
        [(325, 132), (289, 145), (256, 167), (225, 191), (199, 219), (175, 253), (158, 289),
         (145, 333), (140, 378), (140, 418), (145, 462), (158, 502), (177, 542), (201, 579),
         (233, 611), (273, 637), (321, 662), (370, 680), (418, 692), (466, 698), (514, 699),
         (562, 694), (611, 685), (659, 670), (707, 649), (751, 620), (788, 591), (820, 553),
         (841, 514), (853, 474), (860, 426), (860, 386), (854, 346), (842, 308), (824, 273),
         (800, 239), (771, 211), (743, 190), (562, 96)],
    ],
    "cup": [
        [(311, 200), (318, 270), (335, 330), (360, 385), (385, 415), (415, 440), (450, 490),
         (480, 512), (520, 515), (565, 505), (600, 480), (650, 430), (685, 380), (705, 330),
         (733, 210)],
        [(400, 412), (375, 450), (357, 490), (354, 525), (366, 543), (390, 553), (410, 553),
         (428, 532), (450, 500), (480, 470), (480, 430)],
    ],
    "coffee": [
        [(368, 262), (383, 225), (405, 195), (440, 178), (490, 171), (540, 173), (590, 182),
         (625, 200), (650, 230), (664, 262), (662, 290), (640, 318), (610, 335), (570, 346),
         (525, 348), (480, 343), (440, 328), (405, 305), (380, 280)],
    ],
    "spoon": [
        [(715, 128), (735, 121), (757, 125), (765, 138), (757, 175), (744, 215), (728, 270),
         (705, 345), (692, 385), (688, 420), (700, 445), (722, 468), (731, 500), (725, 530),
         (705, 560), (675, 582), (640, 587), (612, 574), (594, 548), (586, 515), (592, 485),
         (615, 460), (650, 440), (675, 425), (677, 390), (690, 355), (712, 300), (733, 230),
         (735, 190)],
    ],
}  # fmt: skip


def coffee_label() -> np.ndarray:  # (240, 360) uint8
    """The label map: numbers of CLASSES, 255 where nobody says what is there."""
    label = Image.new("L", (WIDTH * FINER, HEIGHT * FINER), 0)
    pen = ImageDraw.Draw(label)
    for name, outlines in OUTLINES.items():
        number = 255 if name == "void" else CLASSES.index(name)
        if name == "cup":
            pen.ellipse(RIM_OF_THE_CUP, fill=number)
        for outline in outlines:
            pen.polygon(outline, fill=number)
    middle = FINER // 2
    return np.asarray(label)[middle::FINER, middle::FINER]


if __name__ == "__main__":
    Image.fromarray(coffee_label()).save(PHOTOS / "coffee.png", optimize=True)
