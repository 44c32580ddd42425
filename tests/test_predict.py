"""Masks for many pictures: folders, patterns, videos; what cannot be read is named, and the rest is done."""

import struct

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from collab_seg.use.cli import main
from collab_seg.use.predict_inputs import stems_of
from collab_seg.use.predict_video import change_video


def picture(path, size=(70, 50), seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def predict(*arguments):
    return main(["predict", *map(str, arguments), "--no-progress"])


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos [1]"  # signs that a pattern would read
    folder.mkdir()
    for number in range(3):
        picture(folder / f"{number}.png", (70 + number, 50), number)
    picture(folder / "0.jpg")
    (folder / "notes.txt").write_text("no image")
    return folder


def test_a_folder_is_done_whole_and_has_a_table(tiny_run, photos, tmp_path, capsys):
    assert predict(tiny_run, photos, "--out", tmp_path / "out") == 0
    table = pd.read_csv(tmp_path / "out" / "predictions.csv")
    assert sorted(table.width) == [70, 70, 71, 72] and table.agreement.between(0, 1).all()
    assert (table.filter(like="share_").sum(axis=1) - 1).abs().max() < 1e-3
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert len(names) == 4 * 6 + 1 and {
        "000_0_cnn.png",
        "001_0_cnn.png",
        "1_average_overlay.png",
    } < set(names)
    assert Image.open(tmp_path / "out" / "2_vit.png").size == (72, 50)


def test_a_pattern_and_a_file_that_it_means_too_are_one(tiny_run, photos, tmp_path):
    (tmp_path / "plain").mkdir()
    for name in ("a1.png", "a2.png", "b.png"):
        picture(tmp_path / "plain" / name)
    assert (
        predict(
            tiny_run,
            tmp_path / "plain" / "a?.png",
            tmp_path / "plain" / "a1.png",
            "--out",
            tmp_path / "out",
        )
        == 0
    )
    assert len(pd.read_csv(tmp_path / "out" / "predictions.csv")) == 2


def test_broken_pictures_are_named_and_the_others_are_done(tiny_run, photos, tmp_path, capsys):
    whole = (photos / "1.png").read_bytes()
    (photos / "1.png").write_bytes(whole[:60])
    (photos / "9.png").write_text("no image")
    assert predict(tiny_run, photos, tmp_path / "gone.png", "--out", tmp_path / "out") == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert [line.split(":")[0] for line in lines] == ["left out"] * 3 + ["collab-seg"], lines
    assert all(name in text for name, text in zip(("1.png", "9.png", "gone.png"), lines))
    assert "3 of 6 files could not be read" in lines[-1]
    assert len(pd.read_csv(tmp_path / "out" / "predictions.csv")) == 3


def test_a_picture_is_segmented_window_by_window_as_eval_does(tiny_run, tmp_path, capsys):
    photo = picture(tmp_path / "wide.png", (120, 80))
    for name, options in {
        "whole": ["--size", "own"],
        "one": ["--size", "own", "--window", "80", "120"],
        "many": ["--size", "own", "--window", "32", "40", "--stride", "16", "20"],
    }.items():
        assert predict(tiny_run, photo, "--out", tmp_path / name, *options) == 0
    masks = {
        name: np.asarray(Image.open(tmp_path / name / "wide_average.png"))
        for name in ("whole", "one", "many")
    }
    assert (masks["one"] == masks["whole"]).all() and masks["many"].shape == (80, 120, 3)
    assert (masks["many"] != masks["whole"]).any()
    capsys.readouterr()
    assert predict(tiny_run, photo, "--stride", "8", "8", "--out", tmp_path / "no") == 2
    assert (
        "needed: --window HEIGHT WIDTH" in capsys.readouterr().err
        and not (tmp_path / "no").exists()
    )


def test_numbers_for_a_server_cannot_be_a_film(tiny_run, tmp_path, capsys):
    (tmp_path / "a.mp4").write_text("never opened")
    assert predict(tiny_run, tmp_path / "a.mp4", "--masks", "ids", "--out", tmp_path / "out") == 2
    assert "is a video; needed: colour" in capsys.readouterr().err


def make_film(path):
    """Five frames of 66x50."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as film:
        stream = film.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 66, 50, "yuv420p"
        for number in range(5):
            frame = np.full((50, 66, 3), 40 * number, np.uint8)
            film.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        film.mux(stream.encode())
    return av


def test_a_video_keeps_its_frames_and_an_odd_size_is_cut(tiny_run, tmp_path):
    av = make_film(tmp_path / "drive.mp4")
    assert predict(tiny_run, tmp_path / "drive.mp4", "--out", tmp_path / "out") == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["drive_overlay.mp4"]
    with av.open(str(tmp_path / "out" / "drive_overlay.mp4")) as film:
        assert film.streams.video[0].average_rate == 10
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert len(frames) == 5 and frames[0].shape == (50, 66, 3)


@pytest.mark.parametrize("content", [b"", b"no film", b"\0\0\0\x20ftypisom" + bytes(200)])
def test_what_is_no_video_is_one_line_and_leaves_nothing(content, tiny_run, tmp_path, capsys):
    pytest.importorskip("av")
    (tmp_path / "bad.mp4").write_bytes(content)
    assert predict(tiny_run, tmp_path / "bad.mp4", "--out", tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "bad.mp4" in said
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    "name, needed",
    [("*.jpg", "no file matches"), ("empty", "holds no images"), ("gone.mp4", "missing")],
)
def test_a_mistake_in_a_name_is_one_line(name, needed, tiny_run, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert predict(tiny_run, tmp_path / name, "--out", tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and needed in said


def test_a_disk_that_is_full_is_not_told_as_a_broken_film(tiny_run, tmp_path, capsys):
    resource = pytest.importorskip("resource")
    make_film(tmp_path / "drive.mp4")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(
            resource.RLIMIT_FSIZE, (1000, before[1])
        )  # no file may grow beyond 1000 bytes
        code = predict(tiny_run, tmp_path / "drive.mp4", "--out", tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    said = capsys.readouterr().err
    assert code == 2 and "drive_overlay.mp4: File too large" in said and "copy it again" not in said
    assert list((tmp_path / "out").iterdir()) == []


def test_masks_of_files_whose_names_collide_get_names_of_their_own():
    assert stems_of(["a/x.png", "b/x.png", "c/000_x.png"]) == ["000_x", "001_x", "002_000_x"]


def test_a_video_in_a_folder_is_done_with_its_images(tiny_run, photos, tmp_path):
    make_film(photos / "drive.mp4")
    assert predict(tiny_run, photos, "--out", tmp_path / "out") == 0
    assert {"drive_overlay.mp4", "predictions.csv", "2_vit.png"} < {
        path.name for path in (tmp_path / "out").iterdir()
    }


def on_its_side(path):
    """Say in a film, as phones do, that its frames are to be turned by a quarter, clockwise."""
    film, one = path.read_bytes(), 1 << 16
    upright = struct.pack(">9i", one, 0, 0, 0, one, 0, 0, 0, 1 << 30)
    turned = struct.pack(">9i", 0, one, 0, -one, 0, 0, 0, 0, 1 << 30)
    place = film.index(upright, film.index(b"tkhd"))
    path.write_bytes(film[:place] + turned + film[place + len(turned) :])


def test_a_film_of_a_phone_is_turned_upright(tmp_path):
    av, seen = pytest.importorskip("av"), []
    with av.open(str(tmp_path / "drive.mp4"), "w") as film:
        stream = film.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        frame = np.zeros((48, 64, 3), np.uint8)
        frame[:, :32] = 255  # white on the left: after a turn clockwise it is at the top
        film.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        film.mux(stream.encode())
    on_its_side(tmp_path / "drive.mp4")
    change_video(tmp_path / "drive.mp4", tmp_path / "out.mp4", lambda x: seen.append(x) or x, False)
    with av.open(str(tmp_path / "out.mp4")) as film:
        [written] = [one.to_ndarray(format="rgb24") for one in film.decode(video=0)]
    for picture in (seen[0], written):
        assert picture.shape == (64, 48, 3)
        assert picture[:28].mean() > 200 and picture[36:].mean() < 50


def test_what_a_folder_holds_besides_is_named(tiny_run, photos, tmp_path, capsys):
    (photos / "phone.HEIC").write_bytes(b"no reader")
    (photos / "1.avif").write_bytes(b"no reader")
    (photos / "more" / "again").mkdir(parents=True)
    picture(photos / "more" / "again" / "deep.png")
    assert predict(tiny_run, photos, "--out", tmp_path / "out") == 2
    *lines, last = capsys.readouterr().err.strip().splitlines()
    assert sum("phone.HEIC" in line and "needed: PNG or JPEG" in line for line in lines) == 1, lines
    assert sum("1.avif" in line for line in lines) == 1 and "2 of 6 files" in last
    [note] = [line for line in lines if line.startswith("note: 1 image lies deeper")]
    pattern = note.split("'")[1]
    assert (tmp_path / "out" / "1_cnn.png").is_file()
    assert predict(tiny_run, pattern, "--out", tmp_path / "deep") == 0
    assert (tmp_path / "deep" / "deep_cnn.png").is_file()


@pytest.mark.parametrize(
    "given, taken, options",
    [
        (".", "2_cnn.png", ()),
        (".", "2_average_overlay.png", ()),
        ("vit", "vit/2.png", ("--masks", "ids")),
    ],
)
def test_no_photo_is_overwritten(given, taken, options, tiny_run, photos, capsys):
    (photos / "vit").mkdir()
    before = picture(photos / taken, (40, 40)).read_bytes()
    count = len(list(photos.rglob("*")))
    assert predict(tiny_run, photos / given, "--out", photos / "vit" / "..", *options) == 2
    said = capsys.readouterr().err
    assert taken in said and "needed: another --out" in said and said.count("\n") == 1
    assert (photos / taken).read_bytes() == before and len(list(photos.rglob("*"))) == count
