"""The console script `assay`. Imports are lazy: `assay --help` answers at once."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer

from flows.command import leave, remedy_of, run, stop_if_unchanged
from infra.garbage import collect_seldom

app = typer.Typer(
    help="Retrain models under an audit: every verdict is computed, every number can be rebuilt.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
Epsilon = Annotated[
    float | None,
    typer.Option(
        metavar="E",
        help="publish every count with noise instead: what is published is at most e^E times as likely with "
        "any one person as without; 1 is usual, smaller is more private",
    ),
]
RowsPerPerson = Annotated[
    int, typer.Option(metavar="N", help="of what is published: the most rows that one person has")
]
Tables = Annotated[
    list[str] | None,
    typer.Option(metavar="A x B", help="publish this crossing, not a table for each attribute; repeat it"),
]
PlanName = Annotated[str, typer.Argument(metavar="PLAN", help="a folder below data/ that holds a plan.yaml")]


@app.command()
def retrain(
    plan: PlanName,
    force: Annotated[
        bool, typer.Option("--force", help="run even if data, plan and code are the champion's")
    ] = False,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="change the recipe: recipe.training.epochs=3"),
    ] = None,
) -> None:
    """Validate, train, judge and register. Exit 0 registered, 3 refused, 4 undecided, 1 crashed."""
    if not force:
        stop_if_unchanged(plan, changes or [])
    run("retrain", plan=plan, force=force, changes=changes or [])


@app.command()
def audit(  # noqa: PLR0913, PLR0917 - an option each
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or Parquet, one row a prediction")],
    label: Annotated[str, typer.Option(metavar="Y", help="column of true classes")],
    prediction: Annotated[str, typer.Option(metavar="P", help="column of predicted classes")],
    group: Annotated[list[str], typer.Option(metavar="G", help="column of a protected attribute; repeat it")],
    score: Annotated[
        str | None, typer.Option(metavar="S", help="column of the positive class's probability")
    ] = None,
    weight: Annotated[
        str | None, typer.Option(metavar="W", help="column of how many of the population a row stands for")
    ] = None,
    unit: Annotated[
        str | None, typer.Option(metavar="U", help="column naming the sampling unit, if it has several rows")
    ] = None,
    positive: Annotated[
        str | None, typer.Option(metavar="VALUE", help="the class compared; needed unless 0/1 or true/false")
    ] = None,
    limits: Annotated[
        Path | None, typer.Option(metavar="FILE", help="YAML list of limits, as in a plan; else conventional")
    ] = None,
    alpha: Annotated[float, typer.Option(help="error rate of PASS and of FAIL")] = 0.05,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="write the audit, for replay")] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="write a page with figures")] = None,
    publish: Annotated[
        Path | None, typer.Option(metavar="DIR", help="write counts for everybody, small ones suppressed")
    ] = None,
    epsilon: Epsilon = None,
    rows_per_person: RowsPerPerson = 1,
    table: Tables = None,
) -> None:
    """Audit anyone's predictions; no plan, no server. Exit 0 all PASS, 3 any FAIL, 4 INCONCLUSIVE."""
    from flows.audit import run_audit
    from infra.settings import settings
    from tasks.audit.audit import Asked
    from tasks.audit.publishing import Wish
    from tasks.audit.records import Columns
    from tasks.errors import PlanError

    if publish is None and (epsilon is not None or rows_per_person != 1 or table):
        raise PlanError("assay audit", ["--epsilon, --rows-per-person and --table go with --publish DIR"])
    wish = None if publish is None else Wish(publish, epsilon, rows_per_person, tuple(table or ()))
    columns = Columns(
        label=label, prediction=prediction, groups=tuple(group), score=score, weight=weight, unit=unit
    )
    leave(run_audit(Asked(file, columns, positive, limits, alpha), json, html, wish, settings().var))


@app.command()
def publish(
    target: Annotated[
        str, typer.Argument(metavar="MODEL@REF|FOLDER", help="adult@champion, or a dossier's folder")
    ],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="a new folder; all in it may be handed out")],
    epsilon: Epsilon = None,
    total_epsilon: Annotated[
        float | None, typer.Option(metavar="T", help="all publications of these rows, stated first; else E")
    ] = None,
    rows_per_person: RowsPerPerson = 1,
    table: Tables = None,
) -> None:
    """Write the counts of a run's test part for everybody: a page, and JSON. Exit 3: an altered dossier.

    Small counts are suppressed, none can be worked out. The same rows are published once, or up to a total.
    """
    from flows.publish import run_publish
    from infra.settings import settings
    from tasks.audit.publishing import Wish

    wish = Wish(folder, epsilon, rows_per_person, tuple(table or ()), total_epsilon)
    leave(run_publish(target, wish, settings()))


@app.command()
def replay(
    target: Annotated[
        str,
        typer.Argument(
            metavar="MODEL@REF|FOLDER|AUDIT.json", help="adult@champion, a dossier's folder or an audit"
        ),
    ],
    retrain: Annotated[
        bool, typer.Option("--retrain", help="train again from the recorded commit; compare the weights")
    ] = False,
    data: Annotated[
        Path | None, typer.Option(metavar="FILE", help="of an audit: the audited file, if it was moved")
    ] = None,
) -> None:
    """Rebuild every number from a dossier or an audit and compare. Exit 3 names each mismatch."""
    if target.endswith(".json") or Path(target).is_file():  # a dossier is a folder
        _replay_audit(Path(target), data, retrain)
    if data is not None:
        _wrong("--data goes with an audit's JSON file; a dossier names its data itself")
    run("replay", target=target, retrain=retrain)


@app.command()
def verify(
    target: Annotated[
        str, typer.Argument(metavar="MODEL@REF|FOLDER", help="adult@champion, or a dossier's folder")
    ],
    trust: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE|KEY", help="a public key that counts beside those of the plan in data/"),
    ] = None,
    ca: Annotated[
        Path | None, typer.Option(metavar="FILE", help="certificates of timestamp authorities, PEM")
    ] = None,
    allow_unenrolled: Annotated[
        bool, typer.Option("--allow-unenrolled", help="let the local key of var/keys count")
    ] = False,
) -> None:
    """Check chain, signatures and files before any load. Exit 3 names the first bad entry."""
    from flows.verify import run_verify
    from infra.settings import settings

    leave(run_verify(target, trust or [], ca, settings(), allow_unenrolled=allow_unenrolled))


@app.command()
def anchor(
    target: Annotated[
        str, typer.Argument(metavar="MODEL@REF|FOLDER", help="adult@champion, or a dossier's folder")
    ],
    tsa: Annotated[str | None, typer.Option(metavar="URL", help="a timestamp authority (RFC 3161)")] = None,
    ca: Annotated[
        Path | None, typer.Option(metavar="FILE", help="certificates that vouch for it, PEM")
    ] = None,
    git_tag: Annotated[
        bool, typer.Option("--git-tag", help="write an annotated tag of the head, for you to push")
    ] = False,
) -> None:
    """Have the head of a dossier vouched for from outside: a timestamp, a git tag."""
    from flows.anchor import run_anchor
    from infra.settings import settings

    leave(run_anchor(target, tsa, ca, settings(), git_tag=git_tag))


@app.command()
def documents(
    target: Annotated[
        str, typer.Argument(metavar="MODEL@REF|FOLDER", help="adult@champion, or a dossier's folder")
    ],
    write: Annotated[bool, typer.Option("--write", help="make the pages of a folder anew")] = False,
) -> None:
    """Compare the pages that people read with the evidence. Exit 3 names each stale or hand-typed figure."""
    from flows.documents import run_documents
    from infra.settings import settings

    leave(run_documents(target, settings(), write=write))


@app.command()
def check(plan: PlanName) -> None:
    """Check a plan and its data; nothing is trained. Exit 3 if the data would be refused."""
    run("check", plan=plan)


@app.command()
def compare(plan: PlanName) -> None:
    """Train a plan with and without each step against bias; say what each changed. Registers nothing."""
    run("compare", plan=plan)


@app.command()
def monitor(plan: PlanName) -> None:
    """Look at the champion's new rows: drift, population, fairness. Exit 0 stable, 3 crossed, 4 undecided."""
    run("monitor", plan=plan)


@app.command()
def forget(
    plan: PlanName,
    unit: Annotated[
        str | None, typer.Option(metavar="VALUE", help="the sampling unit's value, as the raw file has it")
    ] = None,
    row: Annotated[str | None, typer.Option(metavar="DIGEST", help="one row, by its digest")] = None,
) -> None:
    """Leave a person's rows out of later versions, and delete the copies that hold them."""
    from flows.forget import run_forget

    leave(run_forget(plan, unit, row))


@app.command()
def sweep(
    places: Annotated[list[Path], typer.Argument(metavar="PATH...", help="files and folders")],
    values: Annotated[Path, typer.Option(metavar="FILE", help="what must not be there, a value a line")],
) -> None:
    """Seek personal values in all that runs left, however wrapped. Exit 3: found; 4: not all searched."""
    from flows.sweep import run_sweep

    leave(run_sweep(values, places))


@app.command()
def review(
    target: Annotated[
        str | None, typer.Argument(metavar="MODEL@REF", help="a version that awaits its review: adult@3")
    ] = None,
    key: Annotated[Path | None, typer.Option(metavar="FILE", help="your key: sign and send answers")] = None,
    answers: Annotated[
        Path | None, typer.Option(metavar="FILE", help="packet.csv with the column `decision` filled in")
    ] = None,
    verdict: Annotated[
        Literal["approve", "reject", "send-back"] | None, typer.Option(help="on the version")
    ] = None,
    reason: Annotated[str, typer.Option(help="why; needed unless you approve")] = "",
    new_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="make a key of your own, and nothing else")
    ] = None,
) -> None:
    """Make a packet and wait for two reviewers; with --key, answer. Exit 0 approved, 3 not, 4 timed out."""
    from flows.answer import answer, make_key
    from tasks.errors import PlanError

    if new_key is not None:
        leave(make_key(new_key))
    if target is None:
        raise PlanError("review", ["MODEL@REF is expected (adult@3), or --new-key FILE"])
    if key is None and answers is None and verdict is None:
        run("review", target=target)
    if key is None or answers is None or verdict is None:
        raise PlanError("review", ["to answer give --key, --answers and --verdict; to open a review, none"])
    leave(answer(target, key, answers, verdict, reason))


@app.command()
def rollback(
    model: Annotated[str, typer.Argument(help="a registered model")],
    reason: Annotated[str, typer.Option(help="why; it stays on record")],
) -> None:
    """Give the alias `champion` back to the champion before."""
    run("rollback", model=model, reason=reason)


@app.command()
def ui() -> None:
    """Show runs: MLflow and Prefect on loopback, until Ctrl-C."""
    from flows.ui import run_ui
    from infra.settings import settings

    run_ui(settings())


@app.command()
def serve() -> None:
    """Run the schedules of all plans, until Ctrl-C."""
    from flows.serve import serve as serve_plans

    serve_plans()


def _replay_audit(path: Path, data: Path | None, retrain: bool) -> None:
    """Replay an audit: it needs no server."""
    from flows.audit import replay_audit

    if retrain:
        _wrong("--retrain goes with a dossier; an audit trained nothing")
    leave(replay_audit(path, data))


def _wrong(problem: str) -> NoReturn:
    from tasks.errors import PlanError

    raise PlanError("replay", [problem])


def main() -> None:
    """Run the command line; an error that is meant for the person is printed without a traceback."""
    collect_seldom()
    from tasks.errors import AssayError

    try:
        app()
    except AssayError as error:
        _tell(error, "")
        sys.exit(error.exit_code)
    except OSError as error:
        if not (remedy := remedy_of(error)):
            raise
        _tell(error, remedy)
        sys.exit(1)
    finally:
        # The end of the process frees all memory; without this Python first searches it for cycles, for three
        # seconds when a run's libraries are loaded.
        gc.freeze()


def _tell(error: Exception, remedy: str) -> None:
    notes = "".join(f"\n{note}" for note in getattr(error, "__notes__", ()))
    typer.secho(f"{type(error).__name__}: {error}{notes}{remedy}", err=True, fg=typer.colors.RED)
