"""Features and predictor by themselves: what they take, what they refuse, and in which words."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch

from tasks.model.network import Network
from tasks.model.predictor import Predictor
from tasks.model.rule import ClassRule, NumberRule, rule_from_json
from tasks.model.tabular import TabularFeatures, Wanted

# Rows of UCI Adult as pandas.read_csv gives them without skipinitialspace: '?' is a missing value.
ROWS = pd.DataFrame(
    {
        "age": [39, 50, 38, 53, 28, 37],
        "workclass": [" State-gov", " Self-emp-not-inc", " Private", " Private", " ?", " Private"],
        "race": [" White", " White", " White", " Black", " Black", " White"],
        "hours": [40.0, 13.5, np.nan, 40.0, 40.0, 45.0],
        "surplus": list("abcdef"),
    }
)
COLUMNS = [
    Wanted("age", "integer", hidden=False),
    Wanted("workclass", "category", hidden=False),
    Wanted("race", "category", hidden=True),
    Wanted("hours", "number", hidden=False),
]


SETTINGS = {"kind": "mlp", "hidden": [8], "dropout": 0.1, "members": 2}


def features() -> TabularFeatures:
    return TabularFeatures.fit(ROWS, COLUMNS, ["", "?"], bins=4, embedding=4)


def predictor(classes: tuple[str, ...] = ("<=50K", ">50K"), positive: str | None = ">50K") -> Predictor:
    torch.manual_seed(0)
    network = Network(features(), SETTINGS, len(classes))
    rule = ClassRule(classes, positive, 0.5, (0.2, 0.4), len(classes))
    return Predictor(features(), SETTINGS, network.eval(), rule)


def saved(model: Predictor, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in model.contents().items():
        (folder / name).write_bytes(content)
    return folder


def test_encoding_by_hand() -> None:
    encoded = features().encode(ROWS)
    # workclass: ? is 0, then Private, Self-emp-not-inc, State-gov; race: Black, White.
    assert encoded["codes"].tolist() == [[3, 2], [2, 2], [1, 2], [1, 1], [0, 1], [1, 2]]
    ages = ROWS["age"].to_numpy()
    assert encoded["numbers"][:, 0].numpy() == pytest.approx((ages - ages.mean()) / ages.std(), abs=1e-6)
    assert encoded["numbers"][2, 1] == 0
    assert encoded["absent"].tolist() == [[0, 0], [0, 0], [0, 1], [0, 0], [0, 0], [0, 0]]


def test_text_numbers_polars_and_integer_codes_read_alike() -> None:
    expected = features().encode(ROWS)["numbers"]
    assert torch.equal(features().encode(ROWS.astype({"age": str}))["numbers"], expected)
    prepared = pl.DataFrame(ROWS.to_dict("list")).with_columns(pl.col("workclass").replace({" ?": None}))
    assert torch.equal(features().encode(prepared)["codes"], features().encode(ROWS)["codes"])
    codes = pd.DataFrame({"code": ["1", "2", "1"]})
    fitted = TabularFeatures.fit(codes, [Wanted("code", "category", hidden=False)], [""], bins=1, embedding=4)
    for same in (codes, codes.astype(int), codes.astype(float), pl.DataFrame(codes.to_dict("list"))):
        assert fitted.encode(same)["codes"].flatten().tolist() == [1, 2, 1]


def test_every_problem_is_told_at_once_with_row_and_known_values() -> None:
    bad = ROWS.drop(columns="hours").astype({"age": object})
    bad.loc[1, "age"] = "old"
    bad.loc[2, "age"] = 38.5
    bad.loc[[0, 3], "workclass"] = "Astronaut"
    bad.loc[4, "race"] = "Secret"
    with pytest.raises(ValueError, match=r"^5 problems") as refusal:
        features().encode(bad)
    message = str(refusal.value)
    assert "column 'hours' is missing" in message
    assert "column 'age', row 1: a number is expected, found 'old'" in message
    assert "column 'age', row 2: an integer is expected, found '38.5'" in message
    assert "column 'workclass', rows 0, 3: 'Astronaut' never seen in training (known: Private" in message
    assert "column 'race', row 4: a value never seen in training" in message
    assert "Secret" not in message
    assert "White" not in message


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("age", np.nan, r"column 'age', row 2: missing \(or NaN\), but no training row lacks it"),
        ("age", np.inf, "column 'age', row 2: a finite number is expected, found 'inf'"),
        ("hours", -np.inf, "column 'hours', row 2: a finite number is expected, found '-inf'"),
        ("race", None, r"column 'race', row 2: missing \(or NaN\), but no training row lacks it"),
        ("race", "?", r"column 'race', row 2: missing \(or NaN\), but no training row lacks it"),
    ],
)
def test_missing_nan_and_infinity_are_refused(column: str, value: object, expected: str) -> None:
    bad = ROWS.copy()
    values = bad[column].astype(object if column == "race" else float)
    values[2] = value
    bad[column] = values
    with pytest.raises(ValueError, match=expected):
        features().encode(bad)


def test_true_and_false_are_no_numbers() -> None:
    with pytest.raises(ValueError, match="column 'age': numbers are expected, found true and false"):
        features().encode(ROWS.assign(age=[True, False] * 3))


def test_a_column_that_is_missing_throughout_training_is_refused() -> None:
    with pytest.raises(ValueError, match="column 'hours': every training row lacks it"):
        TabularFeatures.fit(ROWS.assign(hours=np.nan), COLUMNS, ["?"], bins=4, embedding=4)


def test_the_tail_of_a_column_that_is_mostly_zero_keeps_its_bins() -> None:
    gains = pd.DataFrame({"gain": [0] * 95 + [2174, 3103, 5013, 7688, 15024]})
    fitted = TabularFeatures.fit(gains, [Wanted("gain", "integer", hidden=False)], [], bins=8, embedding=4)
    number = fitted.numbers[0]
    edges = np.array(number.edges) * number.deviation + number.mean
    assert set(edges.round().tolist()) == {0, 2174, 3103, 5013, 7688, 15024}


def test_loading_gives_the_same_predictions(tmp_path: Path) -> None:
    model = predictor()
    loaded = Predictor.load(saved(model, tmp_path))
    assert loaded.features == model.features
    assert loaded.rule == model.rule
    assert loaded.scores(ROWS).tobytes() == model.scores(ROWS).tobytes()
    assert loaded.contents() == model.contents()


def test_predictions_have_the_classes_spelling_and_the_frames_index() -> None:
    model = predictor()
    predicted = model.predict(ROWS.set_index(pd.Index(list("uvwxyz"))))
    assert list(predicted.columns) == ["prediction", "probability"]
    assert list(predicted.index) == list("uvwxyz")
    expected = np.where(predicted["probability"] >= 0.5, ">50K", "<=50K")
    assert predicted["prediction"].tolist() == expected.tolist()


def test_three_classes_have_a_probability_each() -> None:
    predicted = predictor(("a", "b", "c"), None).predict(ROWS)
    assert list(predicted.columns) == ["prediction", "probability_a", "probability_b", "probability_c"]
    assert predicted.iloc[:, 1:].sum(axis=1).to_numpy() == pytest.approx(1)
    likeliest = predicted.iloc[:, 1:].to_numpy().argmax(axis=1)
    assert predicted["prediction"].tolist() == ["abc"[i] for i in likeliest]


@pytest.mark.parametrize("positive", ["no", "yes"])
def test_the_threshold_itself_is_positive(positive: str) -> None:
    rule = ClassRule(("no", "yes"), positive, 0.25, (), 2)
    scores = np.array([[0.75, 0.25], [0.25, 0.75], [0.5, 0.5], [0.8, 0.2]], np.float32)
    assert rule.decide(scores).tolist() == ([1, 1, 1, 0] if positive == "yes" else [0, 0, 0, 0])


def test_altered_weights_are_not_loaded(tmp_path: Path) -> None:
    weights = saved(predictor(), tmp_path) / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-3] ^= 1
    weights.write_bytes(bytes(content))
    with pytest.raises(ValueError, match="the weights are not the ones that were frozen"):
        Predictor.load(tmp_path)


def test_another_schema_is_not_loaded(tmp_path: Path) -> None:
    description = saved(predictor(), tmp_path) / "model.json"
    description.write_text(json.dumps({**json.loads(description.read_text()), "schema": "assay.model/9"}))
    with pytest.raises(ValueError, match=r"'assay.model/2' expected, found 'assay.model/9'"):
        Predictor.load(tmp_path)


def test_the_copied_folder_works_with_the_project_off_the_path(tmp_path: Path) -> None:
    model = predictor()
    saved(model, tmp_path / "weights")
    source = Path(sys.modules["tasks.model.predictor"].__file__ or "").parent
    shutil.copytree(source, tmp_path / "elsewhere", ignore=shutil.ignore_patterns("__pycache__"))
    ROWS.to_csv(tmp_path / "rows.csv", index=False)
    program = (
        "import sys, pandas as pd\n"
        "from elsewhere.predictor import Predictor\n"
        "predicted = Predictor.load('weights').predict(pd.read_csv('rows.csv'))\n"
        "assert not [name for name in sys.modules if name.split('.')[0] in ('tasks', 'polars', 'pydantic')]\n"
        "print(predicted['probability'].to_numpy().tobytes().hex())\n"
    )
    (tmp_path / "program.py").write_text(program)
    done = subprocess.run(
        [sys.executable, "-P", "-c", "import sys; sys.path.insert(0, '.'); exec(open('program.py').read())"],
        cwd=tmp_path, capture_output=True, text=True, check=False, env={"PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    probability = model.predict(ROWS)["probability"].to_numpy()
    assert np.frombuffer(bytes.fromhex(done.stdout.strip()), np.float32) == pytest.approx(probability)


def test_numbers_are_cut_to_the_labels_range_and_come_back_from_json() -> None:
    rule = NumberRule(mean=40.0, deviation=12.0, minimum=1.0, maximum=99.0, score_edges=(30.0, 50.0))
    outputs = torch.tensor([[[0.0], [-9.0], [9.0]], [[1.0], [-9.0], [9.0]]])  # two members, three rows
    assert rule.scores(outputs)[:, 0].tolist() == [46.0, 1.0, 99.0]
    assert rule_from_json(rule.to_json()) == rule
