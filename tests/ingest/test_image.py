"""Images: what a file really holds becomes pixels, and what can't be used says why, row by row."""

from __future__ import annotations

import io
import json
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image as Pillow

from tasks.errors import Refusal, SourceError
from tasks.ingest.image import read
from tasks.ingest.sources import fetch
from tasks.plan.data import Image
from tasks.plan.source import Source

from .archives import tar, zipped

FILES = {"type": "files", "pattern": r"(?P<digit>[a-z]+)/\w+\.(png|jpg)$"}
BROKEN = "not a whole PNG, JPEG, BMP, TIFF, WEBP or PPM image"
GREY = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20


def image(format: dict[str, Any] = FILES, **more: Any) -> Image:  # noqa: A002 - the plan's word
    sources = [{"name": "a.tar", "sha256": "0" * 64, "origins": ["file:/a.tar"]}]
    label = {"column": "digit", "values": ["cat", "dog"], "positive": "dog"}
    size = {"height": 3, "width": 4}
    return Image.model_validate(
        {"kind": "image", "sources": sources, "label": label, "format": format, **size, **more}
    )


def encoded(pixels: Any, mode: str | None = None, kind: str = "PNG", **more: Any) -> bytes:
    file = io.BytesIO()
    picture = Pillow.fromarray(np.asarray(pixels, np.uint8))
    (picture.convert(mode) if mode else picture).save(file, kind, **more)
    return file.getvalue()


def idx(values: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    return struct.pack(f">I{values.ndim}I", 0x800 + values.ndim, *values.shape) + values.tobytes()


def form(folder: Path, content: bytes, **more: Any) -> Any:
    """What `form` says of one file; without a payload unless it is sound."""
    path = tar(folder / "a.tar", {"cat/1.png": content})
    row = read([path], image(**more)).row(0, named=True)
    assert (row["image"] is None) == (row["brightness"] is None) == (row["form"] != "sound")
    return row["form"]


def test_mnist_is_read_as_published(mirror: Path) -> None:
    names = ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"]
    data = image({"type": "idx"}, height=28, width=28)
    frame = read([mirror / "mnist" / name for name in names], data)
    # Published: Keras' documentation, and the mean .1307 and deviation .3081 of the training images.
    assert frame["digit"].head(10).to_list() == list("7210414959")
    assert frame["digit"].value_counts().sort("digit")["count"].to_list() == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009,
    ]  # fmt: skip
    assert frame["brightness"].mean() == pytest.approx(0.1325, abs=1e-4)


def test_idx_of_another_size_is_said_of_each_row(tmp_path: Path) -> None:
    (tmp_path / "i").write_bytes(idx(np.zeros((2, 5, 4), np.uint8)))
    (tmp_path / "l").write_bytes(idx(np.zeros(2, np.uint8)))
    frame = read([tmp_path / "i", tmp_path / "l"], image({"type": "idx"}))
    assert frame["form"].to_list() == ["5 x 4 x 1, 3 x 4 x 1 expected"] * 2


@pytest.mark.parametrize(
    ("images", "labels", "refusal"),
    [
        (idx(np.zeros((2, 3, 4), np.uint8)), idx(np.zeros(3, np.uint8)), "2 images and 3 labels"),
        (idx(np.zeros((2, 3, 4), np.uint8))[:-1], idx(np.zeros(2, np.uint8)), "i: not a whole IDX file"),
        (idx(np.zeros(2, np.uint8)), idx(np.zeros(2, np.uint8)), "one IDX file of images and one of labels"),
        (idx(np.zeros((0, 3, 4), np.uint8)), idx(np.zeros(0, np.uint8)), "nothing, its axes are 0 x 3 x 4"),
    ],
)
def test_idx_that_is_cut_or_does_not_match_is_refused(
    tmp_path: Path, images: bytes, labels: bytes, refusal: str
) -> None:
    (tmp_path / "i").write_bytes(images)
    (tmp_path / "l").write_bytes(labels)
    with pytest.raises(Refusal, match=refusal):
        read([tmp_path / "i", tmp_path / "l"], image({"type": "idx"}))


@pytest.mark.parametrize("packed", [tar, zipped])
def test_archives_give_the_same_rows_however_packed(tmp_path: Path, packed: Any) -> None:
    files = {"dog/2.png": encoded(GREY), "cat/1.png": encoded(GREY + 1), "README.md": b"of cats and dogs"}
    path = packed(tmp_path / "a", files)
    frame = read([path], image())
    assert frame["digit"].to_list() == ["cat", "dog"]
    assert frame["image"].to_list() == [(GREY + 1).tobytes(), GREY.tobytes()]
    assert frame["form"].to_list() == ["sound"] * 2
    assert frame["brightness"][1] == pytest.approx(GREY.mean() / 255)
    assert frame["contrast"][1] == pytest.approx(GREY.std() / 255)
    backwards = packed(tmp_path / "b", dict(reversed(files.items())))
    assert read([backwards], image()).equals(frame)


def test_a_folder_of_a_folder_for_each_class_is_fetched_and_read(tmp_path: Path) -> None:
    for name, pixels in (("dog/2.png", GREY), ("cat/1.png", GREY + 1)):
        path = tmp_path / "pets" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(encoded(pixels))
    (tmp_path / "pets" / "README.md").write_text("of cats and dogs")
    origin, raw = (tmp_path / "pets").as_uri(), tmp_path / "raw" / "pets.tar"
    source = Source(name="pets.tar", sha256="0" * 64, part="all", origins=[origin])
    with pytest.raises(SourceError, match="is expected, found") as caught:
        fetch(source, raw, None)
    found = re.search(r"found ([0-9a-f]{64})", str(caught.value))
    assert found is not None
    fetch(source.model_copy(update={"sha256": found[1]}), raw, None)
    frame = read([raw], image())
    assert frame["digit"].to_list() == ["cat", "dog"]
    assert frame["image"].to_list() == [(GREY + 1).tobytes(), GREY.tobytes()]


def test_shards_follow_each_other_and_sidecars_add_columns(tmp_path: Path) -> None:
    data = image({"type": "files", "pattern": r"\.png$"}, columns={"place": {"type": "category"}}, channels=1)
    told = {"place": "home", "digit": "cat", "camera": "not declared"}
    first = tar(tmp_path / "0.tar.gz", {"7.png": encoded(GREY), "7.json": json.dumps(told).encode()}, "w:gz")
    rest = {
        "8.png": encoded(GREY),
        "8.cls": b"dog\n",
        "9.png": encoded(GREY),
        "9.json": b"{",
        "9.cls": b"dog",
    }
    frame = read([first, tar(tmp_path / "1.tar", rest)], data)
    assert frame["digit"].to_list() == ["cat", "dog", "dog"]
    assert frame["place"].to_list() == ["home", None, None]
    assert frame["form"].to_list() == ["sound", "sound", "its .json can't be read"]
    assert "camera" not in frame.columns


def test_a_path_and_its_sidecars_that_disagree_are_told(tmp_path: Path) -> None:
    pattern = r"(?P<digit>cat|dog)/(?P<year>\d+)?\D*\.png$"
    data = image(
        {"type": "files", "pattern": pattern},
        label={"column": "digit", "values": ["cat", "dog"], "positive": "dog", "spellings": {"1": "dog"}},
        columns={"year": {"type": "integer"}},
    )
    told = {
        "cat/01a": ({"digit": "dog"}, None),
        "cat/02b": ({"digit": None, "year": 2}, b"cat"),
        "cat/03c": ({"year": 4}, b"1"),
        "dog/04d": ({"digit": "dog", "year": "4.0"}, b"1"),
        "dog/e": ({"year": 5}, b"cat"),
        "dog/f": ({"digit": "dog"}, None),
    }
    files = {}
    for name, (values, label) in told.items():
        files[f"{name}.png"] = encoded(GREY)
        files[f"{name}.json"] = json.dumps(values).encode()
        files |= {f"{name}.cls": label} if label else {}
    files["cat/03c.png"] = b"broken"
    frame = read([tar(tmp_path / "a.tar", files)], data)
    assert frame["form"].to_list() == [
        "its path and its .json disagree on 'digit'",
        "sound",
        f"{BROKEN}; its path and its .cls disagree on 'digit'; its path and its .json disagree on 'year'",
        "sound",
        "its path and its .cls disagree on 'digit'",
        "sound",
    ]
    assert frame["year"].to_list() == ["01", "02", "03", "04", "5", None]
    backwards = read([tar(tmp_path / "b.tar", dict(reversed(files.items())))], data)
    assert backwards.equals(frame)


def test_a_corrupt_image_is_one_row_with_its_reason(tmp_path: Path) -> None:
    good = encoded(GREY)
    flipped = bytearray(good)
    flipped[-20] ^= 1
    files = {"cat/1.png": good[:-30], "cat/2.png": b"", "cat/3.png": bytes(flipped), "dog/4.png": good}
    frame = read([tar(tmp_path / "a.tar", files)], image())
    assert frame["form"].to_list() == [BROKEN, BROKEN, BROKEN, "sound"]
    assert frame["image"].null_count() == 3
    assert frame["digit"].to_list() == ["cat", "cat", "cat", "dog"]


def test_other_channels_are_named_and_never_converted(tmp_path: Path) -> None:
    colours = np.stack([GREY] * 3, axis=2)
    for resize in ("refuse", "resize"):
        said = form(tmp_path, encoded(colours), fit=resize)
        assert said == "3 channels (red, green, blue), 1 channel (grey) expected"
    assert form(tmp_path, encoded(GREY, "P")) == "a palette, 1 channel (grey) expected"
    assert form(tmp_path, encoded(GREY, "LA")) == "grey with transparency, 1 channel (grey) expected"
    assert form(tmp_path, encoded(GREY, "1")) == "1 bit a pixel, 1 channel (grey) expected"
    wanted = "3 channels (red, green, blue) expected"
    assert form(tmp_path, encoded(GREY), channels=3) == f"1 channel (grey), {wanted}"
    assert form(tmp_path, encoded(GREY, "RGBA"), channels=3) == f"colours with transparency, {wanted}"
    assert form(tmp_path, encoded(colours), channels=3) == "sound"


def test_another_size_is_refused_or_resized(tmp_path: Path) -> None:
    wide = encoded(np.full((6, 8), 90))
    assert form(tmp_path, wide) == "6 x 8 pixels (height x width), 3 x 4 expected"
    row = read([tar(tmp_path / "b.tar", {"cat/1.png": wide})], image(fit="resize")).row(0, named=True)
    assert row["form"] == "sound"
    assert row["image"] == bytes([90] * 12)


def test_a_photograph_is_turned_as_its_camera_was_held(tmp_path: Path) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6  # a quarter turn
    held = encoded(GREY.T, kind="PNG", exif=exif)
    path = tar(tmp_path / "a.tar", {"cat/1.png": held})
    assert read([path], image())["image"][0] == GREY.T[::-1].T.tobytes()


def test_more_than_one_image_in_a_file_is_refused(tmp_path: Path) -> None:
    pages = [Pillow.fromarray(GREY), Pillow.fromarray(GREY)]
    file = io.BytesIO()
    pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:])
    assert form(tmp_path, file.getvalue()) == "2 images in one file, 1 expected"


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pillow, "MAX_IMAGE_PIXELS", 100)
    assert form(tmp_path, encoded(np.zeros((12, 12)))) == "more pixels than any image needs"


def test_archives_without_a_sample_or_cut_short_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"a\.tar: no member's path fits `judgement\.data\.format\.pattern`"):
        read([tar(tmp_path / "a.tar", {"README": b"no images"})], image())
    path = tar(tmp_path / "b.tar.gz", {"cat/1.png": bytes(range(256)) * 99}, "w:gz")
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(Refusal, match=r"b\.tar\.gz: not a whole archive"):
        read([path], image())


def test_the_described_columns_are_the_plans(tmp_path: Path) -> None:
    data = image()
    frame = read([tar(tmp_path / "a.tar", {"cat/1.png": encoded(GREY)})], data)
    assert set(frame.columns) == {*data.described(), "digit", "image"}
    assert frame.schema["brightness"] == pl.Float64
