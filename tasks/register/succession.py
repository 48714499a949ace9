"""Whether a new version takes over: against the champion on the same rows, or against the plan's minimum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd
import polars as pl

from tasks.errors import RegistryError
from tasks.evaluate.kinds import kind_of
from tasks.evaluate.records import Estimate, Paired
from tasks.plan.judgement import Judgement
from tasks.register.client import Connection, RegistryUnreachable
from tasks.register.registry import Decision, Version
from tasks.register.verify import columns_of, predict


@dataclass
class Succession:
    """The rule by which a version becomes champion; called once, under the registry's lock.

    Attributes:
        connection: MLflow.
        judgement: the margin and the minimum performance.
        rows: the test part's raw rows.
        truth: (n,) true classes or numbers.
        predictions: (n,) rows, the new version's: ``row_digest`` and ``prediction``.
        performance: the new version's estimates on the test part.
        paired: the comparison made, None before the call or without a champion.
    """

    connection: Connection
    judgement: Judgement
    rows: pd.DataFrame
    truth: pl.Series
    predictions: pl.DataFrame
    performance: Sequence[Estimate]
    paired: Paired | None = field(default=None, init=False)

    def decide(self, champion: Version | None) -> Decision:
        """Compare with the champion, or with the plan's minimum if there is none."""
        if champion is None:
            return self._against_minimum()
        try:
            served = predict(
                self.connection, champion.model_uri, self.rows, self.predictions["row_digest"].to_list()
            )
        except RegistryUnreachable:
            raise
        except RegistryError as error:
            # A champion of other columns can't judge these rows: nothing shows that the new one is no worse.
            return Decision(takes_over=False, because=f"{champion} can't predict these test rows: {error}")
        kind, margin = kind_of(self.judgement), self.judgement.champion.margin
        old = kind.served(columns_of(served), self.judgement)["prediction"]
        new = self.predictions["prediction"]
        self.paired = kind.compare(new, old, self.truth, margin, self.judgement.alpha)
        sentence = (
            f"{self.paired.metric} {self.paired.difference:+.4f} against {champion} "
            f"on the same {self.paired.n} rows (one-sided lower limit {self.paired.low:+.4f}, "
            f"margin -{margin:g}): {self.paired.verdict}"
        )
        return Decision(takes_over=self.paired.verdict == "not worse", because=sentence)

    def _against_minimum(self) -> Decision:
        found = {estimate.name: estimate.value for estimate in self.performance}
        short = [
            f"{required.metric} {found.get(required.metric, float('nan')):.4f} < minimum {required.minimum:g}"
            for required in self.judgement.performance
            if not found.get(required.metric, -1.0) >= required.minimum
        ]
        if short:
            return Decision(takes_over=False, because=f"there is no champion yet, and {'; '.join(short)}")
        kept = ", ".join(
            f"{required.metric} {found[required.metric]:.4f} >= minimum {required.minimum:g}"
            for required in self.judgement.performance
        )
        return Decision(takes_over=True, because=f"the first champion: {kept}")
