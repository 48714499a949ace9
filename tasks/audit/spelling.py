"""Classes spelled alike: 1, 1.0, "1" and true are one class, however a column's type wrote them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tasks.fairness.columns import natural_order
from tasks.plan.load import closest

TRUTH = {"False": "0", "True": "1"}
SHOWN = 8
NO_CLASS = frozenset({"na", "n/a", "nan", "null", ""})
"""How missing values are marked, in lower case."""
MAXIMUM_CLASSES = 100
"""More classes than this are numbers or names, not classes."""


@dataclass(frozen=True)
class Spelling:
    """How the values of label and prediction are written.

    Attributes:
        label: value as found -> class.
        prediction: likewise.
        classes: all classes, in order.
        positive: the class whose rates are compared.
        notes: what was brought together, for the reader of the audit.
    """

    label: Mapping[str, str]
    prediction: Mapping[str, str]
    classes: tuple[str, ...]
    positive: str | None
    notes: tuple[str, ...]


def spell(label: Sequence[str], prediction: Sequence[str], positive: str | None) -> Spelling:
    """Bring the values that occur to one spelling.

    Args:
        label: every value of the label column, as text.
        prediction: every value of the prediction column, as text.
        positive: the class asked for, in any of its spellings; 1 or True of two when None.
    """
    spelled = {"label": _plain(label), "prediction": _plain(prediction)}
    notes = []
    booleans = {role for role, names in spelled.items() if names and set(names.values()) <= set(TRUTH)}
    for role in booleans if len(booleans) == 1 else ():
        (other,) = set(spelled) - booleans
        if set(spelled[other].values()) <= set(TRUTH.values()):
            spelled[role] = {found: TRUTH[name] for found, name in spelled[role].items()}
            notes.append(f"true and false of the {role} are read as 1 and 0, as the {other} has them")
    notes += [
        f"{role} {found!r} is read as {name!r}"
        for role, names in spelled.items()
        for found, name in sorted(names.items())
        if found != name and name not in TRUTH.values()
    ]
    truth, guess = set(spelled["label"].values()), set(spelled["prediction"].values())
    classes = _classes(truth | guess)
    if truth != guess:
        notes.insert(0, f"label has the classes {_some(truth)}; prediction has {_some(guess)}")
    return Spelling(
        spelled["label"], spelled["prediction"], classes, _positive(classes, positive), tuple(notes[:SHOWN])
    )


def _plain(values: Sequence[str]) -> dict[str, str]:
    """Value -> its plain spelling: whole numbers without a point, truth values capitalised, no blanks."""
    stripped = {value: value.strip() for value in values}
    names = set(stripped.values())
    if all(_whole(name) for name in names):
        return {value: str(int(float(name))) for value, name in stripped.items()}
    if all(name.lower() in ("true", "false") for name in names):
        return {value: name.capitalize() for value, name in stripped.items()}
    return stripped


def _whole(name: str) -> bool:
    try:
        return float(name).is_integer() and abs(float(name)) < 2**53
    except ValueError:
        return False


def _classes(found: set[str]) -> tuple[str, ...]:
    for pair in (("0", "1"), ("False", "True")):
        if found <= set(pair):
            return pair
    return tuple(sorted(found, key=natural_order))


def _positive(classes: tuple[str, ...], asked: str | None) -> str | None:
    if asked is None:
        return classes[1] if classes in (("0", "1"), ("False", "True")) else None
    plain = _plain([asked])[asked]
    inverse = {number: word for word, number in TRUTH.items()}
    for name in (asked, plain, TRUTH.get(plain), inverse.get(plain)):
        if name in classes:
            return name
    return plain


def spelling_problems(spelling: Spelling, *, needed: bool) -> Iterator[str]:
    """Why the classes can't be compared.

    Args:
        spelling: the classes.
        needed: whether a positive class is needed also where there are more than two classes.
    """
    truth, guess = set(spelling.label.values()), set(spelling.prediction.values())
    classes = spelling.classes
    twins = list(_twins(spelling))
    yield from twins
    if not truth & guess and not twins:
        yield (
            f"label and prediction share no class: {_some(truth)} against {_some(guess)}; "
            "both must spell the classes alike"
        )
    if spelling.positive is not None and spelling.positive not in classes:
        yield f"--positive {spelling.positive!r} is none of the classes{closest(spelling.positive, classes)}"
    if spelling.positive is None and (needed or len(classes) == 2) and truth & guess and not twins:
        yield f"--positive must name the class whose rates are compared: {_listed(classes)}"


def _twins(spelling: Spelling) -> Iterator[str]:
    """Classes of one column alone that another of the other column would be, but for case or blanks."""
    truth, guess = set(spelling.label.values()), set(spelling.prediction.values())
    for lone in sorted(truth - guess):
        for other in sorted(guess - truth):
            if _folded(lone) == _folded(other):
                yield (
                    f"label has the class {lone!r} and prediction has {other!r}: they differ by case or "
                    "blanks alone; both columns must spell a class alike"
                )
    if (asked := spelling.positive) in spelling.classes and asked is not None:
        for role, found in (("label", truth), ("prediction", guess)):
            near = sorted(name for name in found if _folded(name) == _folded(asked))
            if asked not in found and near and not (near[0] in truth) ^ (near[0] in guess):
                yield f"--positive {asked!r} never occurs as {role}, which has {near[0]!r}: spell both alike"


def _folded(name: str) -> str:
    return "".join(name.split()).casefold()


def class_problems(role: str, values: Sequence[str]) -> Iterator[str]:
    """Why a column's values can't be classes."""
    if marks := sorted({value for value in values if value.strip().casefold() in NO_CLASS}):
        yield (
            f"--{role}: {', '.join(marks)} marks a missing value and is no class; "
            "leave these rows out of the file, and say so beside the audit"
        )
    elif len(values) > 2 and all(map(_number, values)) and not all(map(_whole, values)):
        yield (
            f"--{role}: classes are expected, found fractions such as {min(values, key=float)}: a score goes "
            "with --score, and a column of decisions with --prediction"
        )
    elif len(values) > MAXIMUM_CLASSES:
        yield f"--{role}: classes are expected, found more than {MAXIMUM_CLASSES} different values"


def _number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _listed(classes: Sequence[str]) -> str:
    shown = list(classes[:SHOWN]) + (["..."] if len(classes) > SHOWN else [])
    return f"{', '.join(shown[:-1])} or {shown[-1]}"


def _some(names: set[str]) -> str:
    shown = sorted(names, key=natural_order)
    return ", ".join(shown[:SHOWN]) + (" ..." if len(shown) > SHOWN else "")
