"""Point metrics of one peer, timed in its own environment by bench_peers: `python peer.py NAME ROWS.npz`.

Needs numpy and the peer alone; prints its version, what was measured and the seconds of one run, as JSON.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import warnings
from collections.abc import Callable
from importlib.metadata import version
from time import perf_counter

import numpy as np

Work = tuple[str, Callable[[], object]]


def aequitas(group: np.ndarray, truth: np.ndarray, guess: np.ndarray) -> Work:
    import pandas as pd
    from aequitas.bias import Bias
    from aequitas.group import Group

    names = np.array([f"group {i}" for i in range(group.max() + 1)])[group]
    frame = pd.DataFrame({"g": names, "score": guess, "label_value": truth})

    def work() -> object:
        counts, _ = Group().get_crosstabs(frame)
        return Bias().get_disparity_major_group(counts, original_df=frame, check_significance=False)

    return "group metrics and disparities", work


def fairbench(group: np.ndarray, truth: np.ndarray, guess: np.ndarray) -> Work:
    import fairbench as fb

    def work() -> object:
        sensitive = fb.Dimensions(fb.categories @ group)
        return fb.reports.pairwise(predictions=guess, labels=truth, sensitive=sensitive)

    return "its pairwise report", work


def smclarify(group: np.ndarray, truth: np.ndarray, guess: np.ndarray) -> Work:
    import pandas as pd
    from smclarify.bias import report

    frame = pd.DataFrame({"g": pd.Series(group).astype(str), "y": truth, "k": guess})

    def work() -> object:
        label = report.LabelColumn("y", frame["y"], [1])
        predicted = report.LabelColumn("k", frame["k"], [1])
        facet, stage = report.FacetColumn("g"), report.StageType.POST_TRAINING
        names = ["DPPL", "DI", "AD", "RD", "TE", "DAR", "DRR"]
        return report.bias_report(frame, facet, label, stage, predicted, names)

    return "7 post-training metrics", work


def oxonfair(group: np.ndarray, truth: np.ndarray, guess: np.ndarray) -> Work:
    from oxonfair import performance

    return "its 8 point metrics", lambda: performance.evaluate_fairness(truth, guess, group)


PEERS = {"aequitas": aequitas, "fairbench": fairbench, "smclarify": smclarify, "oxonfair": oxonfair}


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # the peers' own
    name, rows = sys.argv[1], np.load(sys.argv[2])
    with contextlib.redirect_stdout(io.StringIO()):
        what, work = PEERS[name](rows["group"], rows["truth"], rows["guess"])
        start = perf_counter()
        found = work()
        seconds = perf_counter() - start
    print(json.dumps({"version": version(name), "what": what, "seconds": seconds}))  # noqa: T201
