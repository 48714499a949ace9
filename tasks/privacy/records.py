"""What differential privacy leaves on record. Never a seed, nor a state of the generator of the noise."""

from __future__ import annotations

from tasks.evidence.records import Record


class Mechanism(Record):
    """The noisy steps of one training: all that an accountant asks for.

    Attributes:
        noise: deviation of the noise in multiples of the clipping length.
        rate: probability with which each row is drawn for a step, independently of the others.
        steps: taken, or to be taken.
    """

    noise: float
    rate: float
    steps: int


class Spent(Record):
    """What a training may tell of any row that it learned from.

    Attributes:
        epsilon: the accountant's figure at ``delta``, over all steps begun, also those lost to a crash.
        delta: of the plan.
        clip: Euclidean length to which each row's gradient was cut.
        mechanism: the steps begun.
        accountant: "rdp": Renyi differential privacy (Mironov 2017) of the sampled Gaussian mechanism
            (Mironov, Talwar and Zhang 2019); a bound that holds, not an estimate.
        adjacency: two data sets are neighbours where one has a row more.
    """

    epsilon: float
    delta: float
    clip: float
    mechanism: Mechanism
    accountant: str = "rdp"
    adjacency: str = "one row more or less"

    @property
    def summary(self) -> str:
        """In words, for a page."""
        steps = self.mechanism
        return (
            f"epsilon {self.epsilon:.3g} at delta {self.delta:.3g} for each row learned from "
            f"({self.adjacency}); {steps.steps:,} steps of rows drawn at a rate of {steps.rate:.3g}, "
            f"gradients cut at {self.clip:g}, noise {steps.noise:.4g} times that; accountant: "
            f"{self.accountant}"
        )


class Drawn(Record):
    """What the ledger allowed one training, before it began.

    Attributes:
        epsilon: that the training may spend.
        total: of the row that was learned from most, this training with it.
        budget: the plan's.
        delta: at which all three are.
        trainings: that drew on any of these rows, this one with them.
        problem: why nothing may be drawn, else empty.
    """

    epsilon: float = 0.0
    total: float = 0.0
    budget: float = 0.0
    delta: float = 0.0
    trainings: int = 0
    problem: str = ""

    @property
    def problems(self) -> tuple[str, ...]:
        """Why the training may not begin."""
        return (self.problem,) if self.problem else ()
