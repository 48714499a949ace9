"""Train a dossier's model again: ``python -m tasks.train.again DOSSIER DATASET_JSON FOLDER``.

Started by a replay in a worktree of the recorded commit, so that the code that trains is the code that did.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tasks.evidence.digest import write_atomically
from tasks.evidence.dossier import body_of, read_chain
from tasks.evidence.records import Dataset
from tasks.plan import read_locked
from tasks.represent.records import Raked
from tasks.train.part import train_part


def main(dossier: Path, dataset_json: Path, folder: Path) -> None:
    """Train with the dossier's plan and raking weights; leave model/ and trained.json in ``folder``."""
    dataset = Dataset.model_validate_json(dataset_json.read_bytes())
    raked = body_of(read_chain(dossier), "representativeness")["raked"]
    weights = None if raked is None else Raked.model_validate(raked)
    changes = body_of(read_chain(dossier), "tuning")["changes"]
    plan = read_locked(dossier).changed(changes)
    trained = train_part(dataset, weights, plan, folder, folder / "checkpoints")
    write_atomically(folder / "trained.json", trained.model_dump_json().encode())


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:4]))
