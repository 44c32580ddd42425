"""Exports of annotation tools: COCO against pycocotools' own masks, LabelMe and YOLO against Pillow, and every way out."""

import base64
import io
import json
from collections import Counter

import numpy as np
import pytest
from PIL import Image, ImageDraw
from pycocotools import mask as coco_mask

from collab_seg import cli
from collab_seg.convert import convert_tool, read_coco
from collab_seg.core import ImageConfig, UserError
from collab_seg.data import check_report, open_source, read_pair, undecoded
from collab_seg.train import train
from conftest import tiny_config

H, W = 48, 64


def photo(path, size=(H, W), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(path.name))
    Image.fromarray(rng.integers(0, 255, (*size, 3), np.uint8)).save(path, **options)


def labels_of(root, out, data, **options):
    """Convert, and read every label back by the name of its image."""
    annotations, background = options.pop("annotations", ()), options.pop("background", True)
    folder, left_out = convert_tool(ImageConfig(data=data, root=str(root), **options), out, annotations, background, progress=False)
    source, found = open_source(ImageConfig(data="hf", root=str(folder))), {}
    for split in source.splits:
        for row in undecoded(source.load(folder, split)):
            found[split, row["image"]["path"].split("/")[-1].split(".")[0]] = read_pair(source, row)[1]
    return source, found, left_out


def polygon(rng, corners):
    return [float(value) for point in rng.uniform((-5, -5), (W + 5, H + 5), (corners, 2)) for value in point]


def as_runs(mask, compressed):
    runs = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    if compressed:
        return {"size": [H, W], "counts": runs["counts"].decode()}
    flat, counts, value = mask.astype(int).ravel(order="F"), [], 0
    while flat.size:
        length = int(np.argmax(flat != value)) if (flat != value).any() else flat.size
        counts.append(length)
        flat, value = flat[length:], 1 - value
    return {"size": [H, W], "counts": counts}


@pytest.mark.parametrize("seed", range(6))
def test_coco_masks_are_those_of_pycocotools_with_the_smaller_on_top(tmp_path, seed):
    """Random polygons of several parts, runs with holes of both kinds, overlaps, corners outside the image."""
    rng = np.random.default_rng(seed)
    categories = [{"id": 3, "name": "car"}, {"id": 90, "name": "traffic light"}, {"id": 17, "name": "road, wet"}]
    annotations, masks = [], []
    for number in range(7):
        if number % 3:
            segmentation = [polygon(rng, 5) for _ in range(1 + number % 2)]
            mask = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(segmentation, H, W)))
        else:
            mask = np.zeros((H, W), np.uint8)
            y, x = rng.integers(0, 20, 2)
            mask[y:y + 24, x:x + 30], mask[y + 6:y + 12, x + 6:x + 18] = 1, 0
            segmentation = as_runs(mask, compressed=bool(number % 2))
        annotations.append({"id": number, "image_id": 5, "category_id": categories[number % 3]["id"], "segmentation": segmentation, "iscrowd": number % 2})
        masks.append((number % 3, mask.astype(bool)))
    photo(tmp_path / "a.png")
    table = {"images": [{"id": 5, "file_name": "a.png", "height": H, "width": W}], "annotations": annotations, "categories": categories}
    (tmp_path / "a.json").write_text(json.dumps(table))
    source, found, left_out = labels_of(tmp_path, tmp_path / "out", "coco", annotations=[f"train={tmp_path / 'a.json'}"], val_fraction=0.0)
    assert source.classes == ("background", "car", "road wet", "traffic light") and not left_out
    number = {0: 1, 1: 3, 2: 2}  # by ascending id: 3, 17, 90
    expected = np.zeros((H, W), np.uint8)
    for category, mask in sorted(masks, key=lambda pair: -pair[1].sum()):
        expected[mask] = number[category]
    assert (found["train", "a"] == expected).all() and len(np.unique(expected)) > 2


def coco(tmp_path, **changes):
    photo(tmp_path / "a.png")
    square = [[4, 4, 20, 4, 20, 20, 4, 20]]
    table = {"images": [{"id": 1, "file_name": "a.png", "height": H, "width": W}], "categories": [{"id": 2, "name": "car"}],
             "annotations": [{"id": 1, "image_id": 1, "category_id": 2, "segmentation": square}]} | changes
    (tmp_path / "a.json").write_text(json.dumps(table))
    return tmp_path / "a.json"


@pytest.mark.parametrize(("changes", "said"), [
    ({"images": None}, "has no list images; needed: images, annotations, categories"),
    ({"annotations": [{"id": 1, "image_id": 1, "category_id": 9, "segmentation": [[0] * 6]}]}, "category_id is 9, which is not in the file"),
    ({"annotations": [{"id": 1, "image_id": 8, "category_id": 2, "segmentation": [[0] * 6]}]}, "image_id is 8, which is not in the file"),
    ({"annotations": [{"id": 1, "image_id": 1, "category_id": 2, "bbox": [1, 2, 3, 4], "segmentation": []}]}, "holds boxes without masks"),
    ({"images": [{"id": 1, "file_name": "b.png", "height": H, "width": W}]}, "b.png is missing; needed: --root"),
    ({"images": [{"id": 1, "file_name": "a.png", "height": W, "width": H}]}, "a.png is 64x48, its annotation 48x64; needed: the same size"),
    ({"annotations": [{"id": 1, "image_id": 1, "category_id": 2, "segmentation": {"size": [H, W], "counts": {}}}]}, "cannot be read"),
    ({"categories": [{"id": number, "name": f"c{number}"} for number in range(300)]}, "301 classes are listed.*needed: 2 to 255"),
])
def test_a_coco_file_that_cannot_be_is_one_line_and_nothing_is_left(tmp_path, changes, said):
    path = coco(tmp_path, **changes)
    if "categories" in changes:
        path.write_text(path.read_text().replace('"category_id": 2', '"category_id": 3'))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=said):
        convert_tool(ImageConfig(data="coco", root=str(tmp_path), val_fraction=0.0), tmp_path / "out", [f"train={path}"], progress=False)
    assert sorted(tmp_path.rglob("*")) == before


def test_what_has_no_mask_is_counted(tmp_path, capsys):
    path = coco(tmp_path)
    table = json.loads(path.read_text())
    table["annotations"].append({"id": 2, "image_id": 1, "category_id": 2, "bbox": [1, 2, 3, 4]})
    path.write_text(json.dumps(table))
    assert cli.main(["data", "convert", "coco", "--root", str(tmp_path), "--annotations", f"train={path}", f"val={path}", "--out",
                     str(tmp_path / "out"), "--no-progress"]) == 0
    assert "left out: 2 annotations without a mask" in capsys.readouterr().out  # one in each split


def test_background_is_a_class_or_void(tmp_path):
    path = coco(tmp_path, categories=[{"id": 2, "name": "car"}, {"id": 5, "name": "bus"}])
    for background, classes, rest in ((True, ("background", "car", "bus"), 0), (False, ("car", "bus"), 255)):
        source, found, _ = labels_of(tmp_path, tmp_path / f"out{rest}", "coco", annotations=[f"train={path}"], val_fraction=0.0, background=background)
        assert source.classes == classes and found["train", "a"][0, 0] == rest and found["train", "a"][10, 10] == (1 if background else 0)
    path = coco(tmp_path, categories=[{"id": 2, "name": "car"}, {"id": 5, "name": "background"}])
    source, found, _ = labels_of(tmp_path, tmp_path / "own", "coco", annotations=[f"train={path}"], val_fraction=0.0)
    assert source.classes == ("car", "background") and found["train", "a"][0, 0] == 1  # the user's own
    path = coco(tmp_path, categories=[{"id": 1, "name": "void"}, {"id": 2, "name": "car"}],
                annotations=[{"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[4, 4, 20, 4, 20, 20, 4, 20]]}])
    source, found, _ = labels_of(tmp_path, tmp_path / "void", "coco", annotations=[f"train={path}"], val_fraction=0.0)
    assert source.classes == ("background", "car") and found["train", "a"][10, 10] == 255


def test_files_of_other_categories_are_refused(tmp_path):
    first = coco(tmp_path)
    (tmp_path / "b.json").write_text(first.read_text().replace('"car"', '"bus"'))
    with pytest.raises(UserError, match="has the categories bus, the file before it car"):
        convert_tool(ImageConfig(data="coco", root=str(tmp_path)), tmp_path / "out", [f"train={first}", f"val={tmp_path / 'b.json'}"], progress=False)


@pytest.mark.parametrize(("turn", "size", "fits"), [
    (6, (W, H), "upright"), (6, (H, W), "stored"), (8, (H, W), "stored"), (5, (H, W), "stored"), (7, (H, W), "stored"), (1, (H, W), "upright"),
    (3, (H, W), None), (2, (H, W), None)])
def test_a_photo_that_lies_on_its_side(tmp_path, turn, size, fits):
    """The label is turned with the photo: a marked corner of the photo is a marked corner of the label."""
    note, picture = Image.Exif(), np.zeros((H, W, 3), np.uint8)
    note[0x0112] = turn
    picture[:16, :16] = 255
    Image.fromarray(picture).save(tmp_path / "a.png", exif=note)
    upright = np.array(Image.fromarray(picture)) if turn == 1 else None
    from collab_seg.data import read_image

    seen = read_image(tmp_path / "a.png")
    marked = (seen if fits == "upright" else picture)[..., 0] > 127
    runs = coco_mask.encode(np.asfortranarray(marked.astype(np.uint8)))
    table = {"images": [{"id": 1, "file_name": "a.png", "height": size[0], "width": size[1]}], "categories": [{"id": 2, "name": "mark"}],
             "annotations": [{"id": 1, "image_id": 1, "category_id": 2, "segmentation": {"size": [*size], "counts": runs["counts"].decode()}}]}
    (tmp_path / "a.json").write_text(json.dumps(table))
    if fits is None:
        with pytest.raises(UserError, match=f"EXIF orientation {turn}.*needed: the image saved upright"):
            labels_of(tmp_path, tmp_path / "out", "coco", annotations=[f"train={tmp_path / 'a.json'}"], val_fraction=0.0)
        return
    _, found, _ = labels_of(tmp_path, tmp_path / "out", "coco", annotations=[f"train={tmp_path / 'a.json'}"], val_fraction=0.0)
    assert (found["train", "a"].astype(bool) == (seen[..., 0] > 127)).all() and (upright is None or (upright == seen).all())


# LabelMe


def labelme(root, name, shapes, **table):
    photo(root / f"{name}.jpg")
    (root / f"{name}.json").write_text(json.dumps({"shapes": shapes, "imagePath": f"{name}.jpg", "imageHeight": H, "imageWidth": W} | table))


def drawn(kind, corners):
    canvas = Image.new("L", (W, H))
    getattr(ImageDraw.Draw(canvas), kind)(corners, fill=1, outline=1)
    return np.array(canvas) > 0


def test_labelme_shapes_are_drawn_later_ones_on_top(tmp_path):
    mask = np.zeros((6, 8), np.uint8)
    mask[2:4, 2:6] = 255
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, format="PNG")
    shapes = [{"label": "road", "points": [[0.5, 30.2], [63, 30], [63, 47], [0, 47]], "shape_type": "polygon"},
              {"label": "car", "points": [[40, 40], [20, 24]], "shape_type": "rectangle"}, {"label": "wheel", "points": [[30, 38], [30, 42]], "shape_type": "circle"},
              {"label": "__ignore__", "points": [[0, 0], [9, 0], [9, 9]]}, {"label": "car", "points": [[1, 1]], "shape_type": "point"},
              {"label": "wheel", "points": [[50, 10], [57, 15]], "shape_type": "mask", "mask": base64.b64encode(buffer.getvalue()).decode()},
              {"label": "_background_", "points": [[60, 44], [63, 44], [63, 47], [60, 47]]}]
    labelme(tmp_path, "a", shapes)
    source, found, left_out = labels_of(tmp_path, tmp_path / "out", "labelme", val_fraction=0.0)
    assert source.classes == ("background", "car", "road", "wheel")
    expected = np.zeros((H, W), np.uint8)
    for area, number in ((drawn("polygon", [(0.5, 30.2), (63, 30), (63, 47), (0, 47)]), 2), (drawn("rectangle", [(20, 24), (40, 40)]), 1),
                         (drawn("ellipse", [(26, 34), (34, 42)]), 3), (drawn("polygon", [(0, 0), (9, 0), (9, 9)]), 255)):
        expected[area] = number
    expected[12:14, 52:56] = 3
    expected[drawn("polygon", [(60, 44), (63, 44), (63, 47), (60, 47)])] = 0
    assert (found["train", "a"] == expected).all() and left_out == Counter({"points and lines": 1})


def test_labelme_classes_and_splits(tmp_path):
    triangle = [[0, 0], [30, 0], [0, 30]]
    for split in ("train", "valid"):
        (tmp_path / split).mkdir()
        labelme(tmp_path / split, f"{split}1", [{"label": "b", "points": triangle}])
    source, found, _ = labels_of(tmp_path, tmp_path / "out", "labelme", classes="a,b")
    assert source.classes == ("background", "a", "b") and sorted(found) == [("train", "train1"), ("val", "valid1")] and found["train", "train1"][2, 2] == 2
    with pytest.raises(UserError, match="has shapes called b; needed: every name in --classes"):
        labels_of(tmp_path, tmp_path / "other", "labelme", classes="a,c")
    (tmp_path / "train" / "bad.json").write_text("{")
    with pytest.raises(UserError, match="bad.json is not JSON"):
        labels_of(tmp_path, tmp_path / "other", "labelme")


# YOLO and Roboflow


def yolo(root, split_first=False, names="[road, car]"):
    for split in ("train", "val"):
        parts = (f"{split}/images", f"{split}/labels") if split_first else (f"images/{split}", f"labels/{split}")
        photo(root / parts[0] / f"{split}1.jpg")
        photo(root / parts[0] / f"{split}2.jpg")
        (root / parts[1]).mkdir(parents=True)
        (root / parts[1] / f"{split}1.txt").write_text("1 0.25 0.25 0.5 0.25 0.5 0.75\n0 0 0.1 1 0.1 1 1 0 1\n")
    (root / "data.yaml").write_text(f"names: {names}\nnc: 2\n")


@pytest.mark.parametrize("split_first", [False, True])
@pytest.mark.parametrize("names", ["[road, car]", "{0: road, 1: car}"])
def test_yolo_polygons_with_the_smaller_on_top(tmp_path, split_first, names):
    yolo(tmp_path, split_first, names)
    source, found, left_out = labels_of(tmp_path, tmp_path / "out", "yolo")
    expected = np.zeros((H, W), np.uint8)
    expected[drawn("polygon", [(0, 0.1 * H), (W, 0.1 * H), (W, H), (0, H)])] = 1
    expected[drawn("polygon", [(16, 12), (32, 12), (32, 36)])] = 2
    assert source.classes == ("background", "road", "car") and (found["train", "train1"] == expected).all()
    assert not found["val", "val2"].any() and left_out["images without a text file (nothing annotated)"] == 2


@pytest.mark.parametrize(("line", "said"), [
    ("0 0.5 0.5 0.1 0.1", "line 1 is a box"), ("7 0 0 1 0 1 1", "line 1 has class 7"), ("0 0 0 1 0 1", "and 5 numbers"), ("car 0 0 1 0 1 1", "needed: a class number")])
def test_a_line_of_yolo_that_cannot_be(tmp_path, line, said):
    yolo(tmp_path)
    (tmp_path / "labels/train/train1.txt").write_text(line)
    with pytest.raises(UserError, match=said):
        labels_of(tmp_path, tmp_path / "out", "yolo")
    (tmp_path / "data.yaml").write_text("nc: 2\n")
    with pytest.raises(UserError, match="data.yaml has no names"):
        labels_of(tmp_path, tmp_path / "out", "yolo")


def test_roboflow_masks_keep_their_numbers_and_names(tmp_path):
    mask = np.zeros((H, W), np.uint8)
    mask[10:20, 10:30] = 2
    for split in ("train", "valid", "test"):
        photo(tmp_path / split / f"{split}.jpg")
        Image.fromarray(mask).save(tmp_path / split / f"{split}_mask.png")
        (tmp_path / split / "_classes.csv").write_text("Pixel Value, Class\n0, background\n1, cat\n2, dog\n")
    source, found, _ = labels_of(tmp_path, tmp_path / "out", "roboflow")
    assert source.classes == ("background", "cat", "dog") and sorted(found) == [("test", "test"), ("train", "train"), ("val", "valid")]
    assert all((label == mask).all() for label in found.values())
    (tmp_path / "test" / "_classes.csv").write_text("Pixel Value, Class\n0, background\n1, dog\n")
    with pytest.raises(UserError, match="list other classes"):
        labels_of(tmp_path, tmp_path / "again", "roboflow")


def test_a_converted_set_is_checked_and_learnt(tmp_path):
    for number in range(12):
        labelme(tmp_path, f"p{number}", [{"label": "left", "points": [[0, 0], [30, 0], [30, 47], [0, 47]]}, {"label": "top", "points": [[0, 0], [63, 0], [63, 9]]}])
    out, _ = convert_tool(ImageConfig(data="labelme", root=str(tmp_path), val_fraction=0.3), tmp_path / "out", progress=False)
    config = tiny_config(steps=2, data="hf", root=str(out))
    source = open_source(config.data)
    assert check_report(source, out, progress=False)[1] == 0 and {*source.splits} == {"train", "val"}
    assert (train(config, tmp_path / "run", progress=False) / "summary.json").exists()


def test_an_interrupt_leaves_nothing(tmp_path, monkeypatch):
    path = coco(tmp_path)
    from collab_seg import convert

    monkeypatch.setattr(convert, "paint", lambda *rest: (_ for _ in ()).throw(KeyboardInterrupt))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(KeyboardInterrupt):
        convert_tool(ImageConfig(data="coco", root=str(tmp_path), val_fraction=0.0), tmp_path / "out", [f"train={path}"], progress=False)
    assert sorted(tmp_path.rglob("*")) == before


def test_without_pycocotools_one_line_says_what_to_install(tmp_path, monkeypatch):
    import sys

    path = coco(tmp_path)
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    names, items = read_coco(path, tmp_path, Counter())
    with pytest.raises(UserError, match=r'pip install "collab_seg\[convert\]"'):
        items[0].shapes(H, W)
    assert names == ["car"]


def test_flags_of_one_format_are_refused_for_another(tmp_path, capsys):
    assert cli.main(["data", "convert", "toyscapes", "--annotations", "a.json", "--out", str(tmp_path / "out")]) == 2
    assert "--annotations and --no-background are for coco, labelme, yolo, roboflow" in capsys.readouterr().err
