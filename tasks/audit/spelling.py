"""Classes spelled alike: 1, 1.0, "1" and true are one class, however a column's type wrote them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tasks.fairness.columns import natural_order
from tasks.plan.load import closest

TRUTH = {"False": "0", "True": "1"}
SHOWN = 8
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
    classes = _classes({*spelled["label"].values(), *spelled["prediction"].values()})
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


def spelling_problems(spelling: Spelling) -> Iterator[str]:
    """Why the classes can't be compared."""
    truth, guess = set(spelling.label.values()), set(spelling.prediction.values())
    classes = spelling.classes
    if not truth & guess:
        yield (
            f"label and prediction share no class: {_some(truth)} against {_some(guess)}; "
            "both must spell the classes alike"
        )
    if spelling.positive is not None and spelling.positive not in classes:
        yield f"--positive {spelling.positive!r} is none of the classes{closest(spelling.positive, classes)}"
    if spelling.positive is None and len(classes) == 2:
        yield f"--positive must name the class whose rates are compared: {' or '.join(classes)}"


def many_classes(role: str, values: Sequence[str]) -> Iterator[str]:
    """Why a column can't hold classes."""
    if len(values) > 2 and all(map(_number, values)) and not all(map(_whole, values)):
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


def _some(names: set[str]) -> str:
    shown = sorted(names, key=natural_order)
    return ", ".join(shown[:SHOWN]) + (" ..." if len(shown) > SHOWN else "")
