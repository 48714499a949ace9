"""What the dossier's explanations say of single decisions, in sentences for a reviewer."""

from __future__ import annotations

from tasks.explain.records import Counterfactual, Explained, Explanation

STRONGEST = 5
NONE = "No explanation of this decision is at hand."


def flips_of(explained: Explained | None) -> list[int]:
    """row_id of the decisions that a small change was found to turn."""
    if explained is None or explained.counterfactuals is None:
        return []
    return [one.row_id for one in explained.counterfactuals.found if one.otherwise is not None]


def sentences_of(explained: Explained | None, row_id: int) -> list[str]:
    """What is known of a decision; of explanations that failed their checks this is all that is said."""
    if explained is None:
        return [NONE]
    made = [_weights(one, row_id) for one in explained.explanations if one.part != "model"]
    changes = explained.counterfactuals.found if explained.counterfactuals is not None else ()
    made += [_change(one) for one in changes if one.row_id == row_id]
    return [sentence for sentence in made if sentence] or [NONE]


def _weights(explanation: Explanation, row_id: int) -> str:
    single = next((one for one in explanation.singles if one.row_id == row_id), None)
    if single is None:
        return ""
    if not explanation.reliable:
        return f"{explanation.method}: unreliable, it fails its own checks; nothing is shown."
    strongest = sorted(single.weights.items(), key=lambda item: (-abs(item[1]), item[0]))[:STRONGEST]
    listed = ", ".join(f"{name} {value:+.3g}" for name, value in strongest)
    return f"{explanation.method} ({explanation.of}): {listed}."


def _change(found: Counterfactual) -> str:
    if found.otherwise is None:
        return "No small change was found that would turn this decision."
    changes = " and ".join(
        f"{one.column} other than it is" if one.to is None else f"{one.column} {one.to}"
        for one in found.changes
    )
    return f"It would have been {found.otherwise} with {changes}."
