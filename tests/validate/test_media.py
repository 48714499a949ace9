"""Broken images and recordings reach validation as rows, and are refused there with their reasons."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from tasks.ingest.archive import digest_archive, digest_source
from tasks.ingest.rebuild import fetch_parts
from tasks.plan.load import parse_plan
from tasks.validate.records import Validated
from tasks.validate.validate import validate
from tests.ingest.archives import tar

ROWS = {"train": 20, "test": 10}
LABEL = {"column": "what", "values": ["cat", "dog"], "positive": "dog"}
FILES = {"type": "files", "pattern": r"(?P<what>[a-z]+)/\d+\.\w+$"}


def png(seed: int, *shape: int) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, shape or (8, 8), np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def wav(seed: int, rate: int = 8000, shape: tuple[int, ...] = (800,), kind: str = "WAV") -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(seed).integers(-9000, 9000, shape, np.int16)
    soundfile.write(file, noise, rate, format=kind)
    return file.getvalue()


def judged(folder: Path, kind: dict[str, Any], samples: dict[str, dict[str, bytes]]) -> Validated:
    sources = []
    for part, files in samples.items():
        path = tar(folder / f"{part}.tar", files)
        origin = {"name": path.name, "part": part, "origins": [path.as_uri()]}
        sources.append({**origin, "sha256": digest_archive(path)})
    return validated(folder, {**kind, "sources": sources, "format": FILES, "label": LABEL}, "cnn")


def validated(folder: Path, data: dict[str, Any], model: str, **judgement: Any) -> Validated:
    """What validation says of sources that were fetched and prepared as a run does it."""
    document = {
        "judgement": {
            "data": data,
            "expectations": {"minimum_rows": ROWS},
            "limits": [{"metric": "accuracy_difference", "attribute": "label", "limit": 0.1}],
            "performance": [{"metric": "accuracy", "minimum": 0.6}],
            **judgement,
        },
        "recipe": {"model": {"kind": model}},
    }
    plan = parse_plan("small", document, where="test")
    return validate(fetch_parts(plan, folder / "data" / "small", None), plan, folder / "run")


def good(make: Any) -> dict[str, dict[str, bytes]]:
    starts = {"train": 0, "test": 100}
    return {
        part: {f"{('cat', 'dog')[i % 2]}/{i}.bin": make(starts[part] + i) for i in range(rows)}
        for part, rows in ROWS.items()
    }


IMAGES = {"kind": "image", "height": 8, "width": 8}
SOUNDS = {"kind": "audio", "rate": 8000}


@pytest.mark.parametrize(("kind", "make"), [(IMAGES, png), (SOUNDS, wav)])
def test_sound_samples_keep_every_rule(tmp_path: Path, kind: dict[str, Any], make: Any) -> None:
    assert judged(tmp_path, kind, good(make)).problems == ()


BROKEN_IMAGES = {
    "not a whole PNG, JPEG, BMP, TIFF, WEBP or PPM image": png(0)[:40],
    "9 x 8 pixels (height x width), 8 x 8 expected": png(0, 9, 8),
    "3 channels (red, green, blue), 1 channel (grey) expected": png(0, 8, 8, 3),
}
BROKEN_SOUNDS = {
    "16000 samples a second, 8000 expected": wav(0, rate=16000),
    "no samples": wav(0, shape=(0,)),
    "cut short: 1644 bytes expected, found 900": wav(0)[:900],
    "2 channels, 1 expected": wav(0, shape=(800, 2)),
    "AIFF: WAV, FLAC or OGG is expected; convert it first": wav(0, kind="AIFF"),
}


@pytest.mark.parametrize(
    ("kind", "make", "broken"), [(IMAGES, png, BROKEN_IMAGES), (SOUNDS, wav, BROKEN_SOUNDS)]
)
def test_broken_samples_are_one_problem_with_rows_and_reasons(
    tmp_path: Path, kind: dict[str, Any], make: Any, broken: dict[str, bytes]
) -> None:
    """What is measured of a sample is missing with it: that goes without saying."""
    samples = good(make)
    for number, content in enumerate(broken.values()):
        samples["test"][f"{('cat', 'dog')[number % 2]}/{number}.bin"] = content
    (problem,) = judged(tmp_path, kind, samples).problems
    rows = "0, 1, 5" if len(broken) == 3 else "0, 1, 2, 5, 6"
    assert problem.startswith(
        f"test part, column form: expected sound, found {len(broken)} of 10 rows break it: "
    )
    assert all(repr(reason) in problem for reason in broken)
    assert f" (rows {rows}); a row is one of the part's files, counted from 0 in the order of" in problem
    assert problem.endswith("; mend these samples in the source, or leave them out of it")


def test_recordings_that_are_all_of_another_rate_are_one_problem_a_part(tmp_path: Path) -> None:
    """Nothing is said of duplicates, groups or missing measures where there is no sample."""
    problems = judged(tmp_path, {**SOUNDS, "rate": 4000}, good(wav)).problems
    assert [problem.partition(" (rows")[0] for problem in problems] == [
        f"{part} part, column form: expected sound, found {rows} of {rows} rows break it: "
        f"'8000 samples a second, 4000 expected'"
        for part, rows in ROWS.items()
    ]


def test_broken_texts_and_lost_bytes_beside_them_are_told_at_once(tmp_path: Path) -> None:
    """One problem for what is wrong with texts, and one for each column beside them whose bytes were lost."""
    sources = []
    for part, rows in ROWS.items():
        lines = [
            [f"a {('man', 'woman')[i // 2 % 2]} and {i}".encode(), b"%s %d" % (part.encode(), i), b"cat"]
            for i in range(rows)
        ]
        lines[1][2] = lines[4][2] = b"dog"
        if part == "test":
            lines[1][0], lines[2][0], lines[3][0] = b"  ", b"a " * 100_000, b"caf\xe9"
            lines[8][0] = b"  "
            lines[5][1], lines[6][1], lines[7][2] = b"caf\xe9", b"caf\xe8", b"d\xf6g"
        path = tmp_path / f"{part}.csv"
        path.write_bytes(b"\n".join([b"text,place,what", *(b",".join(line) for line in lines)]))
        origin = {"name": path.name, "part": part, "origins": [path.as_uri()]}
        sources.append({**origin, "sha256": digest_source(path)})
    data = {
        "kind": "text",
        "sources": sources,
        "format": {"type": "csv"},
        "label": LABEL,
        "columns": {"place": {"type": "category"}},
        "identities": {"gender": {"women": ["woman"], "men": ["man"]}},
    }
    limits = [{"metric": "accuracy_difference", "attribute": "gender", "limit": 0.1}]
    protected = {"gender": {"column": "gender"}}
    found = validated(tmp_path, data, "rnn", protected=protected, limits=limits, unit="place")
    assert len(found.problems) == 3, found.problems
    form, place, what = sorted(found.problems)
    assert form.startswith("test part, column form: expected sound, found 4 of 10 rows break it: 'empty', ")
    assert "'199999 characters, at most 20000 expected', 'not UTF-8' (rows 1, 2, 3, 8); mend these" in form
    # It is the unit, whose values are not shown.
    told = "expected no U+FFFD, the sign of lost bytes, found 2 of 10 rows break it (rows 5, 6); U+FFFD"
    assert place.startswith(f"test part, column place: {told}")
    told = "expected one of the classes cat, dog, found 1 of 10 rows break it: 'd\ufffdg' (rows 7); U+FFFD"
    assert what.startswith(f"test part, column what: {told}")
    assert all("`iconv -f WINDOWS-1252 -t UTF-8`" in problem for problem in (form, place, what))
