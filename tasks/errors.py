"""Every error that a person may see, and the exit code that each leads to.

::

    AssayError                      1  Crashed
    ├── PlanError                   2  the plan (or the command) is wrong; all problems at once
    ├── SourceError                 1  a source can't be had, or isn't what the plan pins
    │   ├── SourceUnreachable       1  no origin answered: the one thing worth trying again
    │   ├── SourceAbsent            1  nothing is there that could answer: no such file, host or port
    │   └── SourceAltered           1  a file on this machine changed since it was pinned
    ├── Refusal                     3  the data is refused: it was read, and breaks a stated rule
    ├── NotEnoughMemory             1  the device has no room for what the recipe asks for
    ├── EvidenceError               3  a dossier isn't what it says it is
    └── RegistryError               1  MLflow can't be reached, or holds something unexpected

A message says what was expected, what was found, where, and what to do.
"""

from collections.abc import Sequence


class AssayError(Exception):
    """Base of every error that Assay raises on purpose."""

    exit_code = 1


class PlanError(AssayError):
    """A plan or a command line that can't be carried out.

    Attributes:
        problems: every problem found, each with the key's path and a remedy.
    """

    exit_code = 2

    def __init__(self, where: str, problems: Sequence[str]) -> None:
        """Join all problems of ``where`` (a file or a command) into one message."""
        self.where = where
        self.problems = tuple(problems)
        plural = "problem" if len(self.problems) == 1 else "problems"
        lines = "".join(f"\n  - {problem}" for problem in self.problems)
        super().__init__(f"{where}: {len(self.problems)} {plural}{lines}")


class SourceError(AssayError):
    """A source that can't be reached, is cut short, or has other bytes than the plan pins."""


class SourceUnreachable(SourceError):  # noqa: N818 - says what happened
    """No origin of a source could be reached; trying again later may help."""


class SourceAbsent(SourceError):  # noqa: N818 - says what happened
    """Nothing is there to answer: no such file, host or port; trying again at once can't help."""


class SourceAltered(SourceError):  # noqa: N818 - says what happened
    """A raw or prepared file on this machine has other bytes than were pinned."""


class Refusal(AssayError):  # noqa: N818 - the house's word for this ending
    """Data that was read and breaks a rule of the plan; ends a run as Refused."""

    exit_code = 3


class NotEnoughMemory(AssayError):  # noqa: N818 - says what happened
    """The device has no room for what a recipe asks for; a smaller one may have."""


class EvidenceError(AssayError):
    """A dossier whose records, files or numbers do not agree with each other."""

    exit_code = 3


class RegistryError(AssayError):
    """MLflow can't be reached, or holds something other than what was logged."""
