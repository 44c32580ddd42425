"""Foreign formats become label maps: small sets of each format, against pycocotools, Pillow and counting by hand."""

import base64
import dataclasses
import io
import json
import sys

import numpy as np
import pytest
from conftest import tiny_config
from PIL import Image, ImageDraw

from collab_seg.config import ImageConfig
from collab_seg.core import UserError
from collab_seg.data.check import check_report
from collab_seg.data.coco import read_coco
from collab_seg.data.convert import convert_foreign
from collab_seg.data.hub import LABELS_FILE, read_hf
from collab_seg.data.labelme import read_labelme
from collab_seg.data.outlined import DrawnRows
from collab_seg.data.outlines import Shape, draw, outline_mask, run_lengths
from collab_seg.data.reading import read_pair, undecoded
from collab_seg.data.sources import open_source
from collab_seg.data.yolo import read_yolo, roboflow_source
from collab_seg.use import cli

coco_mask = pytest.importorskip("pycocotools.mask", reason="outlines are drawn by pycocotools")


SIZE = H, W = 48, 64
TRIANGLE, SQUARE, BIG = (
    [10.5, 4.2, 40.1, 9.9, 22.7, 38.3],
    [20, 12, 30, 12, 30, 22, 20, 22],
    [2, 2, 60, 2, 60, 45, 2, 45],
)


def photo(path, size=SIZE, orientation=None, array=None):
    """Write an image, perhaps with a number that says how it is to be turned."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.full((*size, 3), 80, np.uint8) if array is None else array)
    image.getexif()[0x0112] = orientation or 1
    image.save(path, **({"exif": image.getexif()} if orientation else {}))
    return path


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def theirs(*polygons):
    """The mask of one thing as pycocotools itself has it."""
    return coco_mask.decode(
        coco_mask.merge(coco_mask.frPyObjects([*map(list, polygons)], H, W))
    ).astype(bool)


def smallest_on_top(masks, labels, rest=0):
    """For each pixel the label of the smallest mask that covers it."""
    found = np.full(SIZE, rest)
    for y, x in np.argwhere(np.any(masks, 0)):
        covering = [n for n in range(len(masks)) if masks[n][y, x]]
        found[y, x] = labels[min(covering, key=lambda n: (masks[n].sum(), -n))]
    return found


def coco_table(count=4, categories=((7, "cup"), (3, "table"), (90, "cat")), **changes):
    """A COCO file with so many images, and no outlines but those in `changes`."""
    images = [{"id": n, "file_name": f"p{n}.png", "height": H, "width": W} for n in range(count)]
    return {
        "images": images,
        "categories": [{"id": key, "name": name} for key, name in categories],
        "annotations": [],
    } | changes


def outlined(number, image, category, segmentation, **more):
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "segmentation": segmentation,
        **more,
    }


def polygons_of(count=4, category=3):
    return [outlined(n, n, category, [BIG]) for n in range(count)]


def coco_set(root, table, split="train", names=None):
    for one in table["images"]:
        photo(root / one["file_name"])
    write(root / f"{split}.json", table)
    return ImageConfig(root=str(root)), (f"{split}={split}.json",)


def convert_coco(root, files, out, *more):
    """Call the command; returns its exit code."""
    command = ["data", "convert", "coco", "--root", str(root), "--annotations", *files]
    return cli.main([*command, "--out", str(out), "--no-progress", *more])


def labels_in(out, split="train"):
    """The label maps of a converted data set by the names of their images, as training reads them."""
    read_hf.cache_clear()
    source = open_source(ImageConfig(data="hf", root=str(out)))
    rows = undecoded(source.load(str(out), split))
    return source, {row["image"]["path"]: read_pair(source, row)[1] for row in rows}


def converted(tmp_path, name, settings, *args, **options):
    out = convert_foreign(name, settings, tmp_path / "out", *args, progress=False, **options)
    return labels_in(out)


def refused(call):
    with pytest.raises(UserError) as caught:
        call()
    assert (
        "\n" not in str(caught.value)
        and len(str(caught.value)) < 700
        and "; needed: " in str(caught.value)
        or "needs" in str(caught.value)
    )
    return str(caught.value)


# --- masks ---


def test_random_outlines_of_coco_are_pycocotools_own_masks_the_smaller_on_top(tmp_path):
    rng, annotations, masks = np.random.default_rng(0), [], {n: [] for n in range(12)}
    for n in range(60):
        image, kind = n % 12, n % 3
        center, radius = rng.uniform(0, [W, H], 2), rng.uniform(0.4, 30)
        polygons = [
            (center + radius * rng.normal(size=(rng.integers(3, 9), 2))).round(2).ravel().tolist()
            for _ in range(1 + n % 2)
        ]
        mask = theirs(*polygons)
        if kind:
            holes = rng.random(SIZE) < 0.2
            mask &= ~holes
            rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
            text = {"size": [H, W], "counts": rle["counts"].decode()}
            segmentation = (
                text if kind == 1 else {"size": [H, W], "counts": run_lengths(text, SIZE)}
            )
        else:
            segmentation = polygons
        category = (3, 7, 90)[rng.integers(3)]
        annotations.append(outlined(n, image, category, segmentation, iscrowd=int(kind == 2)))
        masks[image].append((mask, {3: 1, 7: 2, 90: 3}[category]))
    settings, files = coco_set(tmp_path / "set", coco_table(12, annotations=annotations))
    source, labels = converted(
        tmp_path, "coco", dataclasses.replace(settings, val_fraction=0.0), files
    )
    assert source.classes == ("background", "table", "cup", "cat") and len(labels) == 12
    for name, label in labels.items():
        shapes = masks[int(name[1:-4])]
        assert (
            label == smallest_on_top([mask for mask, _ in shapes], [kind for _, kind in shapes])
        ).all(), name


def test_any_outline_is_drawn_as_pycocotools_draws_it():
    from hypothesis import given, settings
    from hypothesis import strategies as st

    corner = st.floats(-80, 150, allow_nan=False).map(lambda v: round(v, 3))
    polygon = st.lists(corner, min_size=6, max_size=20).map(lambda v: v[: len(v) // 2 * 2])

    @settings(max_examples=150, deadline=None)
    @given(
        st.lists(st.lists(polygon, min_size=1, max_size=3), min_size=1, max_size=4), st.booleans()
    )
    def check(things, by_area):
        shapes = [Shape(n + 1, polygons) for n, polygons in enumerate(things)]
        label, empty = draw(shapes, SIZE, by_area=by_area)
        masks = [theirs(*polygons) for polygons in things]
        assert empty == sum(not mask.any() for mask in masks)
        expected = np.zeros(SIZE, int)
        for n in (
            sorted(range(len(masks)), key=lambda n: -masks[n].sum())
            if by_area
            else range(len(masks))
        ):
            expected[masks[n]] = n + 1
        assert (label == expected).all()

    check()


def test_any_mask_survives_the_compressed_text():
    from hypothesis import given, settings
    from hypothesis import strategies as st

    @settings(max_examples=100, deadline=None)
    @given(st.integers(1, 70), st.integers(1, 70), st.integers(0, 2**32), st.floats(0, 1))
    def check(height, width, seed, share):
        mask = np.asfortranarray(
            np.random.default_rng(seed).random((height, width)) < share
        ).astype(np.uint8, order="F")
        rle = coco_mask.encode(mask)
        for form in (rle["counts"], rle["counts"].decode()):
            runs = run_lengths({"size": [height, width], "counts": form}, (height, width))
            assert (
                np.repeat(np.arange(len(runs)) % 2, runs).reshape((height, width), order="F")
                == mask
            ).all()
        again = outline_mask({"size": [height, width], "counts": runs}, (height, width))
        assert (coco_mask.decode(again) == mask).all()

    check()


@pytest.mark.parametrize(
    "counts",
    [
        "",
        "4210",
        "42102\x7f",
        "o",
        "oooooooooooooooooooooo",
        [5, 5],
        [-1, 13],
        [12.0],
        "12",
        None,
        {},
        [True] * 12,
        12,
    ],
)
def test_masks_that_do_not_fill_the_image_are_refused(counts):
    assert "RLE mask" in refused(
        lambda: outline_mask({"size": [3, 4], "counts": counts}, (3, 4), "annotation 3")
    )


# --- COCO ---


def test_ids_with_gaps_in_any_order_become_numbers_without_and_names_are_kept(tmp_path):
    table = coco_table(
        annotations=[
            outlined(1, 0, 90, [SQUARE]),
            outlined(2, 1, 3, [SQUARE]),
            outlined(3, 2, 7, [SQUARE]),
            *polygons_of(4)[3:],
        ]
    )
    settings, files = coco_set(tmp_path / "set", table)
    source, labels = converted(
        tmp_path, "coco", dataclasses.replace(settings, val_fraction=0.3), files
    )
    both = labels | labels_in(tmp_path / "out", "val")[1]
    assert source.classes == ("background", "table", "cup", "cat") and source.palette[0] == (
        0,
        0,
        0,
    )
    assert [both[f"p{n}.png"][15, 25] for n in range(3)] == [3, 1, 2] and all(
        both[f"p{n}.png"][0, 0] == 0 for n in range(3)
    )


def test_each_part_has_its_file_and_the_ids_of_a_category_must_agree(tmp_path, capsys):
    root = tmp_path / "set"
    for split, folder in (("train", "train2017"), ("val", "val2017")):
        table = coco_table(2, annotations=polygons_of(2))
        for one in table["images"]:
            photo(root / folder / one["file_name"])
        write(root / f"annotations/instances_{folder}.json", table)
    out = tmp_path / "out"
    files = [f"{split}={root}/annotations/instances_{split}2017.json" for split in ("train", "val")]
    assert convert_coco(root, files, out) == 0
    assert "wrote" in capsys.readouterr().out
    source, labels = labels_in(out, "val")
    assert source.splits == {"train": 2, "val": 2} and [*labels] == [
        "val2017/p0.png",
        "val2017/p1.png",
    ]
    write(root / "annotations/instances_val2017.json", coco_table(2, ((3, "cup"), (7, "table"))))
    assert convert_coco(root, files, tmp_path / "b") == 2
    assert "the same in all files" in capsys.readouterr().err


def test_roboflows_coco_export_is_found_and_its_group_of_categories_left_out(tmp_path, capsys):
    table = coco_table(2, annotations=polygons_of(2))
    table["categories"] = [
        {"id": 0, "name": "things", "supercategory": "none"},
        {"id": 3, "name": "table", "supercategory": "things"},
    ]
    for part in ("train", "valid"):
        for one in table["images"]:
            photo(tmp_path / "set" / part / one["file_name"])
        write(tmp_path / "set" / part / "_annotations.coco.json", table)
    source, labels = converted(tmp_path, "coco", ImageConfig(root=str(tmp_path / "set")))
    assert (
        source.classes == ("background", "table")
        and source.splits == {"train": 2, "val": 2}
        and len(labels) == 2
    )
    assert "categories that only group others: things (1)" in capsys.readouterr().err


def test_what_is_left_out_is_counted(tmp_path, capsys):
    annotations = [
        *polygons_of(4),
        outlined(10, 0, 3, []),
        outlined(11, 1, 3, None),
        outlined(12, 1, 3, [[1, 2, 5, 6]]),
        outlined(13, 2, 3, [[500, 500, 510, 500, 510, 520]]),
    ]
    settings, files = coco_set(tmp_path / "set", coco_table(5, annotations=annotations))
    converted(tmp_path, "coco", dataclasses.replace(settings, val_fraction=0.3), files)
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note:")]
    assert said == [
        "note: pixels outside of every outline are class 0, background; 1 of 5 images have no outline",
        "note: left out: annotations without an outline, such as boxes (3); outlines that cover no pixel (1)",
    ]


def test_without_background_the_rest_is_void_and_images_without_an_outline_are_left_out(
    tmp_path, capsys
):
    settings, files = coco_set(
        tmp_path / "set", coco_table(9, annotations=[*polygons_of(8), outlined(20, 0, 7, [SQUARE])])
    )
    source, labels = converted(
        tmp_path, "coco", dataclasses.replace(settings, val_fraction=0.3), files, background=False
    )
    assert source.classes == ("table", "cup", "cat") and sum(source.splits.values()) == 8
    assert all(label[0, 0] == 255 and label[40, 5] == 0 for label in labels.values())
    assert "void" in (said := capsys.readouterr().err) and "images without an outline (1)" in said


def test_a_category_called_background_is_the_background(tmp_path):
    categories = ((1, "cup"), (2, "Background"), (3, "table"), (4, "void"))
    settings, files = coco_set(
        tmp_path / "set",
        coco_table(
            9,
            categories,
            annotations=[*polygons_of(9), *(outlined(30 + n, n, 4, [SQUARE]) for n in range(9))],
        ),
    )
    source, labels = converted(
        tmp_path, "coco", dataclasses.replace(settings, val_fraction=0.0), files
    )
    assert source.classes == ("cup", "Background", "table")
    assert all(
        label[0, 0] == 1 and label[5, 5] == 2 and label[15, 25] == 255 for label in labels.values()
    )


BOX = [
    {"id": n, "image_id": n, "category_id": 3, "bbox": [1, 1, 5, 5], "segmentation": []}
    for n in range(4)
]
WRONG_COCO = {
    "no COCO": ([1, 2], "not of COCO's form"),
    "no categories": ({"images": [], "annotations": []}, "not of COCO's form"),
    "no annotations, as of a test set": ({"images": [], "categories": []}, "not of COCO's form"),
    "boxes only": (coco_table(annotations=BOX), "such as boxes (4)"),
    "nothing at all": (coco_table(), "has no outline"),
    "an unknown category": (coco_table(annotations=[outlined(1, 0, 5, [SQUARE])]), "category 5"),
    "an unknown image": (coco_table(annotations=[outlined(1, 77, 3, [SQUARE])]), "image 77"),
    "odd numbers": (coco_table(annotations=[outlined(1, 0, 3, [SQUARE[:-1]])]), "outline"),
    "words": (coco_table(annotations=[outlined(1, 0, 3, "mask.png")]), "outline"),
    "corners that are words": (coco_table(annotations=[outlined(1, 0, 3, [["1"] * 6])]), "outline"),
    "corners far away": (
        coco_table(annotations=[outlined(1, 0, 3, [[0, 0, 1e12, 0, 0, 5]]), *polygons_of()]),
        "reaches to",
    ),
    "a mask of another size": (
        coco_table(annotations=[outlined(1, 0, 3, {"size": [W, H], "counts": [W * H]})]),
        "RLE mask of size",
    ),
    "a mask too short": (
        coco_table(
            annotations=[outlined(n, n, 3, {"size": [H, W], "counts": [5]}) for n in range(4)]
        ),
        "add up to",
    ),
    "an image that is missing": (
        coco_table(images=[{"id": 0, "file_name": "gone.png"}]),
        "missing",
    ),
    "an image out of the root": (
        coco_table(images=[{"id": 0, "file_name": "../../x.png"}]),
        "outside",
    ),
    "an image by its whole path": (
        coco_table(images=[{"id": 0, "file_name": "/etc/passwd"}]),
        "outside",
    ),
    "an image without a name": (coco_table(images=[{"id": 0}]), "names the image"),
    "an image twice": (
        coco_table(images=[{"id": n, "file_name": "p0.png"} for n in range(2)]),
        "listed twice",
    ),
    "an id twice": (
        coco_table(images=[{"id": 0, "file_name": f"p{n}.png"} for n in range(2)]),
        "listed twice",
    ),
    "another size": (
        coco_table(
            images=[
                {"id": n, "file_name": f"p{n}.png", "height": 24, "width": 32} for n in range(4)
            ],
            annotations=polygons_of(),
        ),
        "32x24",
    ),
    "a size that is none": (
        coco_table(images=[{"id": 0, "file_name": "p0.png", "height": "a", "width": 5}]),
        "whole numbers",
    ),
    "a name twice": (coco_table(categories=((1, "cat"), (2, "cat"))), "listed twice"),
    "a category without a name": (coco_table(categories=((1, None),)), "the category"),
    "300 classes": (coco_table(categories=[(n, f"c{n}") for n in range(300)]), "301 classes"),
}


@pytest.mark.parametrize("name", WRONG_COCO)
def test_a_coco_file_with_a_mistake_is_answered_in_one_line(name, tmp_path, capsys):
    table, words = WRONG_COCO[name]
    coco_set(tmp_path / "set", coco_table())
    write(tmp_path / "set/train.json", table)
    files = ["train=train.json"]
    assert convert_coco(tmp_path / "set", files, tmp_path / "out", "--val-fraction", "0") == 2
    said = capsys.readouterr().err.strip()
    assert words in said and "needed" in said and "\n" not in said
    assert not [*tmp_path.glob("*out*"), *tmp_path.glob(".*out*")]


@pytest.mark.parametrize(
    "text, words", [("{", "not JSON"), ("[" * 100_000, "not JSON"), ("\xff", "UTF-8")]
)
def test_files_that_are_no_json_are_named(text, words, tmp_path):
    (tmp_path / "train.json").write_bytes(text.encode("latin-1"))
    assert words in refused(
        lambda: read_coco(ImageConfig(root=str(tmp_path)), ("train=train.json",))
    )


@pytest.mark.parametrize(
    "annotations",
    [
        (),
        ("train.json",),
        ("x=train.json",),
        ("train=a.json", "training=b.json"),
        ("train=gone.json",),
    ],
)
def test_the_annotation_files_must_be_named(annotations, tmp_path):
    refused(lambda: read_coco(ImageConfig(root=str(tmp_path)), annotations))


# --- LabelMe ---


def shape(label, kind, points, **more):
    return {
        "label": label,
        "shape_type": kind,
        "points": points,
        "group_id": None,
        "flags": {},
        **more,
    }


def labelme(root, shapes, name="a", **more):
    photo(root / f"{name}.png")
    write(
        root / f"{name}.json",
        {
            "version": "5.0",
            "imagePath": f"{name}.png",
            "imageHeight": H,
            "imageWidth": W,
            "imageData": None,
            "shapes": shapes,
        }
        | more,
    )
    return ImageConfig(root=str(root))


def drawn(found):
    """The label maps of all pictures of train."""
    rows = DrawnRows(found, "train")
    return [np.asarray(Image.open(io.BytesIO(rows[n]["label"]["bytes"]))) for n in range(len(rows))]


def near_edge(polygon):
    """Pixels less than about one pixel from an outline, by Pillow."""
    image = Image.new("L", (W * 4, H * 4))
    ImageDraw.Draw(image).line([4 * value for value in [*polygon, *polygon[:2]]], fill=255, width=9)
    return np.asarray(image).reshape(H, 4, W, 4).max((1, 3)) > 0


def test_labelmes_shapes_agree_with_pillow_away_from_their_edges(tmp_path):
    rng = np.random.default_rng(1)
    for n in range(20):
        polygon = rng.uniform(-5, [W + 5, H + 5], (5, 2)).round(1)
        settings = labelme(tmp_path / str(n), [shape("cup", "polygon", polygon.tolist())])
        image = Image.new("L", (W, H))
        ImageDraw.Draw(image).polygon([*map(tuple, polygon)], fill=1)
        wrong = drawn(read_labelme(settings))[0] != np.asarray(image)
        assert not (wrong & ~near_edge(polygon.ravel().tolist())).any(), n
    circle = labelme(tmp_path / "circle", [shape("cup", "circle", [[30.5, 20.5], [30.5, 33]])])
    y, x = np.mgrid[:H, :W] + 0.5
    away = np.hypot(x - 30.5, y - 20.5) - 12.5
    label = drawn(read_labelme(circle))[0]
    assert (label[away < -1] == 1).all() and (label[away > 1] == 0).all()


def test_later_shapes_of_labelme_lie_on_top_and_its_special_labels_are_respected(tmp_path, capsys):
    box = [[2, 2], [60, 45]]
    shapes = [
        shape("table", "rectangle", box),
        shape("cup", "rectangle", [[20, 12], [30, 22]]),
        shape("_background_", "rectangle", [[22, 14], [24, 16]]),
        shape("__ignore__", "rectangle", [[40, 30], [50, 40]]),
        shape("cup", "rectangle", [[0, 0], [64, 8]]),
        shape("cup", "point", [[3, 3]]),
        shape("cup", "linestrip", [[3, 3], [5, 5], [6, 6]]),
        shape("cup", "polygon", [[3, 3], [5, 5]]),
    ]
    found = read_labelme(labelme(tmp_path, shapes))
    label = drawn(found)[0]
    assert (
        found.classes == ("background", "cup", "table") and "cup, table" in capsys.readouterr().err
    )
    assert (
        label[13, 21] == 1
        and label[15, 23] == 0
        and label[35, 45] == 255
        and label[10, 5] == 2
        and label[5, 5] == 1
        and label[46, 1] == 0
    )
    assert sum(count for what, count in found.left_out.items() if "enclose nothing" in what) == 3
    listed = read_labelme(dataclasses.replace(labelme(tmp_path, shapes), classes="table,cup"))
    assert listed.classes == ("background", "table", "cup") and drawn(listed)[0][13, 21] == 2
    photo(tmp_path / "b.png")
    write(tmp_path / "other.json", {"a": 1})
    assert {
        "images without a JSON file": 1,
        "JSON files that are not LabelMe's, or in no folder of a split": 1,
    }.items() <= read_labelme(labelme(tmp_path, shapes)).left_out.items()


def test_labelmes_masks_and_images_inside_of_files_are_read(tmp_path):
    part = np.zeros((6, 9), bool)
    part[1:5, 2:7] = True
    buffer = io.BytesIO()
    Image.fromarray(part).save(buffer, format="PNG")
    mask = base64.b64encode(buffer.getvalue()).decode()
    content = base64.b64encode(photo(tmp_path / "keep.png").read_bytes()).decode()
    settings = labelme(
        tmp_path / "set", [shape("cup", "mask", [[10, 20], [18, 25]], mask=mask)], imageData=content
    )
    (tmp_path / "set/a.png").unlink()
    found = read_labelme(settings)
    label = drawn(found)[0]
    assert (label[21:25, 12:17] == 1).all() and label.sum() == 20
    row = DrawnRows(found, "train")[0]
    assert row["image"]["bytes"] == (tmp_path / "keep.png").read_bytes()
    for wrong in ({"mask": "!"}, {"mask": mask, "points": [[60, 46], [80, 80]]}, {}):
        labelme(tmp_path / "set", [shape("cup", "mask", [[10, 20], [18, 25]]) | wrong])
        assert "mask" in refused(lambda: read_labelme(settings))


@pytest.mark.parametrize(
    "change, words",
    [
        ({"imagePath": "../../x.png"}, "outside"),
        ({"imagePath": ""}, "imagePath"),
        ({"imageHeight": 24, "imageWidth": 32}, "32x24"),
        ({"shapes": [shape("cup", "polygon", [[1, 2, 3]])]}, "points"),
        ({"shapes": [shape("cup", "polygon", "x")]}, "points"),
        ({"shapes": [shape("cup", "point", [[1, 2]])]}, "no outline"),
        ({"shapes": [shape(None, "rectangle", [[1, 2], [5, 6]])]}, "no name"),
        ({"shapes": "x"}, "no LabelMe file"),
        ({"imagePath": "gone.png"}, "missing"),
    ],
)
def test_a_labelme_file_with_a_mistake_is_answered_in_one_line(change, words, tmp_path):
    shapes = change.get("shapes", [shape("cup", "rectangle", [[1, 2], [5, 6]])])
    settings = labelme(
        tmp_path / "set", shapes, **{key: value for key, value in change.items() if key != "shapes"}
    )
    settings, out = dataclasses.replace(settings, val_fraction=0.0), tmp_path / "out"
    assert (
        words in refused(lambda: convert_foreign("labelme", settings, out, progress=False))
        and not out.exists()
    )


def test_labelme_files_in_folders_of_splits_keep_them(tmp_path):
    for split in ("train", "val", "test"):
        labelme(tmp_path / "set" / split, [shape("cup", "rectangle", [[1, 2], [5, 6]])])
    labelme(tmp_path / "set", [shape("cup", "rectangle", [[1, 2], [5, 6]])], name="stray")
    found = read_labelme(ImageConfig(root=str(tmp_path / "set")))
    assert {split: len(pictures) for split, pictures in found.splits.items()} == {
        "train": 1,
        "val": 1,
        "test": 1,
    }
    assert found.left_out["JSON files that are not LabelMe's, or in no folder of a split"] == 1


# --- YOLO ---


def relative(polygon):
    return " ".join(f"{value / (H if n % 2 else W):.9f}" for n, value in enumerate(polygon))


def yolo(root, texts, yaml="names: [table, cup]\n", layout="images/{}"):
    for split, files in texts.items():
        for name, text in files.items():
            image = photo(root / layout.format(split) / f"{name}.png")
            label = root / layout.format(split).replace("images", "labels") / f"{image.stem}.txt"
            if text is not None:
                write(label, text)
    if yaml:
        write(root / "data.yaml", yaml)
    return ImageConfig(root=str(root))


@pytest.mark.parametrize(
    "layout, yaml",
    [
        ("images/{}", "names: [table, cup]\n"),
        ("{}/images", "train: ../train/images\nval: ../val/images\nnames: [table, cup]\nnc: 2\n"),
        (
            "images/{}",
            "path: ../data\ntrain: images/train\nval: images/val\nnames:\n  0: table\n  1: cup\n",
        ),
        ("{}", "names: [table, cup]\n"),
        ("images/{}2017", "train: images/train2017\nval: images/val2017\nnames: [table, cup]\n"),
    ],
)
def test_yolos_outlines_are_pycocotools_masks_the_smaller_on_top(layout, yaml, tmp_path):
    lines = f"1 {relative(TRIANGLE)}\n0 {relative(BIG)}\n\n1 {relative(SQUARE)}\n"
    settings = yolo(
        tmp_path / "set",
        {"train": {"a": lines, "b": "", "c": None}, "val": {"d": lines}},
        yaml,
        layout,
    )
    source, labels = converted(tmp_path, "yolo", settings)
    read_back = [
        [float(word) * (H if n % 2 else W) for n, word in enumerate(relative(one).split())]
        for one in (TRIANGLE, BIG, SQUARE)
    ]
    expected = smallest_on_top([theirs(one) for one in read_back], [2, 1, 2])
    label = next(label for name, label in labels.items() if name.endswith("a.png"))
    assert source.classes == ("background", "table", "cup") and source.splits == {
        "train": 3,
        "val": 1,
    }
    assert (label == expected).all() and sum(label.any() for label in labels.values()) == 1


@pytest.mark.parametrize(
    "line, words",
    [
        ("0 0.5 0.5 0.2 0.2", "is a box"),
        ("0 0.5 0.5 0.2 0.2 0.9", "5 numbers"),
        ("0 3 4 10 4 10 9", "from 0 to 1"),
        ("2 0.1 0.1 0.5 0.1 0.5 0.5", "class 2"),
        ("0.5 0.1 0.1 0.5 0.1 0.5 0.5", "class 0.5"),
        ("-1 0.1 0.1 0.5 0.1 0.5 0.5", "class -1"),
        ("nan 0.1 0.1 0.5 0.1 0.5 0.5", "class nan"),
        ("cup 0.1 0.1 0.5 0.1 0.5 0.5", "a class number"),
        ("0 nan 0.1 0.5 0.1 0.5 0.5", "from 0 to 1"),
        ("0", "0 numbers"),
    ],
)
def test_a_line_of_yolo_that_is_no_outline_is_named(line, words, tmp_path):
    settings = yolo(tmp_path, {"train": {"a": f"0 {relative(SQUARE)}\n{line}\n"}})
    assert words in (said := refused(lambda: read_yolo(settings))) and "a.txt, line 2" in said


@pytest.mark.parametrize(
    "yaml, words",
    [
        ("names: [table, yes]\n", "in quotes"),
        ("names: {0: table, 2: cup}\n", "in quotes"),
        ("nc: 3\nnames: [table, cup]\n", "nc 3"),
        ("nc: 2\n", "names None"),
        ("- a\n", "no table"),
        ("names: [", "not YAML"),
        ("names: [table, cup]\nkpt_shape: [17, 3]\n", "key points"),
        ("names: !!python/object/apply:os.system ['true']\n", "not YAML"),
        ("train: train.txt\nnames: [table, cup]\n", "one folder"),
        ("train: images/train\nval: images/train\nnames: [table, cup]\n", "one folder for two"),
        ("names: [table, table]\n", "listed twice"),
    ],
)
def test_a_data_yaml_that_cannot_be_is_named(yaml, words, tmp_path):
    settings = yolo(tmp_path, {"train": {"a": f"0 {relative(SQUARE)}\n"}}, yaml)
    assert words in refused(lambda: read_yolo(settings))


def test_yolo_without_data_yaml_takes_a_class_list_and_files_without_partners_are_named(tmp_path):
    settings = yolo(tmp_path, {"train": {"a": f"1 {relative(SQUARE)}\n"}}, yaml=None)
    assert "classes" in refused(lambda: read_yolo(settings))
    write(tmp_path / "classes.txt", "table\ncup\n")
    write(tmp_path / "labels/train/classes.txt", "table\ncup\n")
    assert read_yolo(settings).classes == ("background", "table", "cup")
    write(tmp_path / "labels/train/b.txt", "")
    assert "has no image" in refused(lambda: read_yolo(settings))
    (tmp_path / "labels/train/b.txt").unlink()
    (tmp_path / "labels/train/a.txt").unlink()
    assert "no label file" in refused(lambda: read_yolo(settings))
    (tmp_path / "images/train/c.heic").write_bytes(b"x")
    assert ".heic" in refused(lambda: read_yolo(settings))


# --- Roboflow ---


def roboflow(
    root,
    parts=("train", "valid", "test"),
    text="Pixel Value, Class\n0, background\n1, table\n3, cup\n",
):
    rng, kept = np.random.default_rng(0), {}
    for part in parts:
        for n in range(2):
            name = f"{part}{n}_jpg.rf.0af"
            photo(root / part / f"{name}.jpg")
            kept[name] = rng.choice([0, 1, 3], SIZE).astype(np.uint8)
            Image.fromarray(kept[name]).save(root / part / f"{name}_mask.png")
        write(root / part / "_classes.csv", text)
    return ImageConfig(root=str(root)), kept


def test_roboflows_masks_keep_their_parts_and_need_no_pycocotools(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    settings, kept = roboflow(tmp_path / "set")
    source, labels = converted(tmp_path, "roboflow", settings)
    assert source.classes == ("background", "table", "cup") and source.splits == {
        "train": 2,
        "val": 2,
        "test": 2,
    }
    for name, label in labels.items():
        assert (
            np.array([0, 1, 9, 2])[kept[name.split("/")[-1].removesuffix(".jpg")]] == label
        ).all()
    assert json.loads((tmp_path / "out" / LABELS_FILE).read_text())["from"] == "roboflow"


def test_roboflows_lists_must_be_there_and_agree(tmp_path):
    settings, _ = roboflow(tmp_path)
    write(tmp_path / "valid/_classes.csv", "Pixel Value, Class\n0, background\n1, cup\n3, table\n")
    assert "other classes" in refused(lambda: roboflow_source(settings))
    (tmp_path / "valid/_classes.csv").unlink()
    assert "there is no" in refused(lambda: roboflow_source(settings))


# --- what all share ---


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("way", ["stored", "upright"])
@pytest.mark.parametrize("square", [False, True])
def test_the_label_of_a_turned_photo_lies_on_what_was_outlined(orientation, way, square, tmp_path):
    stored = np.zeros((40, 40 if square else 56, 3), np.uint8)
    stored[4:14, 6:31] = 255
    path = photo(tmp_path / "set/a.png", orientation=orientation, array=stored)
    with Image.open(path) as image:
        from PIL import ImageOps

        upright = np.asarray(ImageOps.exif_transpose(image))
    seen = stored if way == "stored" else upright
    rows, columns = np.where(seen[..., 0] > 0)
    left, top, right, bottom = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    corners = [[int(v) for v in (left, top, right, top, right, bottom, left, bottom)]]
    images = [{"id": 0, "file_name": "a.png", "height": seen.shape[0], "width": seen.shape[1]}]
    write(
        tmp_path / "set/train.json",
        coco_table(images=images, annotations=[outlined(1, 0, 3, corners)]),
    )
    found = read_coco(ImageConfig(root=str(tmp_path / "set")), ("train=train.json",))
    unsure = orientation > 1 and (square or orientation < 5)
    if unsure:
        assert "--drawn-on" in refused(lambda: DrawnRows(found, "train")[0])
    source = dataclasses.replace(
        open_source(ImageConfig()), name="coco", classes=found.classes, void_ids=()
    )
    for drawn_on in (way, None)[: 2 - unsure]:
        image, label = read_pair(source, DrawnRows(found, "train", drawn_on)[0])
        assert ((image[..., 0] > 0) == (label == 1)).all()


def test_turned_photos_of_yolo_are_asked_about(tmp_path):
    settings = yolo(tmp_path, {"train": {"a": f"0 {relative(SQUARE)}\n"}})
    photo(tmp_path / "images/train/a.png", orientation=6)
    found = read_yolo(settings)
    assert "--drawn-on" in refused(lambda: DrawnRows(found, "train")[0])
    for way, size in (("stored", SIZE), ("upright", (W, H))):
        row = DrawnRows(found, "train", way)[0]
        assert Image.open(io.BytesIO(row["label"]["bytes"])).size == (H, W)


def test_outlines_need_pycocotools_and_say_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    coco_set(tmp_path / "set", coco_table(annotations=polygons_of()))
    files = ["train=train.json"]
    assert convert_coco(tmp_path / "set", files, tmp_path / "out", "--val-fraction", "0") == 2
    said = capsys.readouterr().err
    assert (
        'pip install "collab_seg[convert]"' in said
        and said.count("\n") == 1
        and not (tmp_path / "out").exists()
    )


def test_an_interrupted_conversion_leaves_nothing_and_labels_are_drawn_one_by_one(
    tmp_path, monkeypatch
):
    settings, files = coco_set(tmp_path / "set", coco_table(6, annotations=polygons_of(6)))
    kept, calls = draw, []

    def stop(*args):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return kept(*args)

    monkeypatch.setattr("collab_seg.data.outlined.draw", stop)
    found = read_coco(settings, files)
    rows = DrawnRows(found, "train")
    assert len(rows) == 6 and not calls
    with pytest.raises(KeyboardInterrupt):
        convert_foreign(
            "coco",
            dataclasses.replace(settings, val_fraction=0.3),
            tmp_path / "out",
            files,
            progress=False,
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set"]


def test_the_folder_must_be_free_before_anything_is_read(tmp_path):
    (tmp_path / "out").mkdir()
    assert "is there already" in refused(
        lambda: convert_foreign("coco", ImageConfig(root="nowhere"), tmp_path / "out", ("train=x",))
    )


def test_what_is_converted_is_checked_trained_on_and_scored_as_any_other_data(tmp_path):
    from collab_seg.training.loop import train

    annotations = [
        one
        for n in range(12)
        for one in (outlined(2 * n, n, 3, [BIG]), outlined(2 * n + 1, n, 7, [SQUARE]))
    ]
    settings, files = coco_set(
        tmp_path / "set", coco_table(12, ((3, "table"), (7, "cup")), annotations=annotations)
    )
    out = convert_foreign(
        "coco",
        dataclasses.replace(settings, val_fraction=0.3),
        tmp_path / "out",
        files,
        progress=False,
    )
    read_hf.cache_clear()
    ours = ImageConfig(data="hf", root=str(out))
    text, problems = check_report(open_source(ours), out, progress=False)
    assert problems == 0, text
    run = train(tiny_config(steps=2, data="hf", root=str(out)), tmp_path / "run", progress=False)
    assert (run / "summary.json").is_file()


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["coco", "--palette", "x"], "--palette"),
        (["coco", "--classes", "a,b"], "--classes"),
        (["coco", "--void", "3"], "--void"),
        (["yolo", "--annotations", "train=x"], "--annotations"),
        (["roboflow", "--no-background"], "--no-background"),
        (["voc", "--drawn-on", "stored"], "--drawn-on"),
        (["folder", "--annotations", "train=x"], "--annotations"),
        (["pascal"], "known: "),
        (["coco"], "--root"),
        (["labelme"], "--root"),
        (["yolo"], "--root"),
        (["roboflow"], "--root"),
        (["coco", "--root", "gone"], "there is no folder"),
    ],
)
def test_settings_without_a_use_are_refused(arguments, words, tmp_path, capsys):
    assert cli.main(["data", "convert", *arguments, "--out", str(tmp_path / "out")]) == 2
    assert words in (said := capsys.readouterr().err) and said.count("\n") == 1


def test_one_file_for_two_parts_is_refused(tmp_path, capsys):
    """It was a bare KeyError."""
    coco_set(tmp_path / "set", coco_table(annotations=polygons_of()))
    files = ["train=train.json", "val=train.json"]
    assert convert_coco(tmp_path / "set", files, tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert "one file for two of train, val; needed" in said and said.count("\n") == 1


def test_only_one_part_can_be_written(tmp_path, capsys):
    settings, files = coco_set(tmp_path / "set", coco_table(annotations=polygons_of()))
    given = settings.root, [f"val={settings.root}/train.json"], tmp_path / "out"
    assert convert_coco(*given, "--split", "train") == 2 and "split" in capsys.readouterr().err
    assert convert_coco(*given, "--split", "val") == 0
    assert [path.name for path in (tmp_path / "out/data").iterdir()] == [
        "val-00000-of-00001.parquet"
    ]
