"""What a run's records say, filed in MLflow: numbers, pages, pictures and the dossier itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tasks.documents.render import FOLDER, write_documents
from tasks.evaluate.records import Opened
from tasks.evidence.records import Dataset
from tasks.fairness.verdict import Verdicts
from tasks.fairness.words import by
from tasks.plan import Plan
from tasks.plan.judgement import TEST
from tasks.register.client import Connection
from tasks.register.described import describe_version
from tasks.register.keys import key
from tasks.register.records import Registration
from tasks.register.runs import Contents, Input, log_run, page_of
from tasks.report.by_group import tables
from tasks.report.decided import decided
from tasks.report.front_page import front_page
from tasks.represent.records import Represented
from tasks.train.records import Trained, Tuned

TIMINGS = "timings.json"
DOSSIER = "dossier"
PAGES = {
    "audit page": "audit.html",
    "model card": "model_card.html",
    "technical documentation": "annex_iv.html",
}
"""What the front page leads to -> the page among the documents of the dossier."""


def publish(
    connection: Connection,
    run_id: str,
    plan: Plan,
    records: Mapping[str, Any],
    folder: Path,
    tags: Mapping[str, str],
) -> None:
    """File a run's contents; a run that ended early has fewer records and shows fewer things.

    Args:
        connection: MLflow.
        run_id: the run.
        plan: as locked; the settings that a search chose are shown in place of its own.
        records: step -> record, as in the dossier.
        folder: the dossier; figures are drawn into it.
        tags: ending, digests, dossier head.

    Raises:
        RegistryError: when MLflow refuses.
    """
    # matplotlib: its import is part of what filing takes, and no flow but retraining draws.
    from tasks.report.figures import draw_figures  # noqa: PLC0415

    draw_figures(records, folder)
    tuned = records.get("tuning")
    carried_out = plan.changed(tuned.changes) if isinstance(tuned, Tuned) else plan
    links = {name: page_of(connection, run_id, f"{DOSSIER}/{FOLDER}/{file}") for name, file in PAGES.items()}
    log_run(
        connection,
        run_id,
        Contents(
            params=dict(_flat(carried_out.model_dump(mode="json"))),
            metrics=dict(metrics_of(records)),
            series=_series(records.get("freeze")),
            tags=tags,
            description=front_page(plan, records, folder, tables(records, folder), links),
            folders={DOSSIER: folder},
            inputs=_inputs(records.get("data")),
        ),
    )
    if isinstance(registration := records.get("registration"), Registration):
        page = decided(plan, records, links)
        describe_version(connection, registration.model, registration.version, page, _in_words(records))


def publish_timings(
    connection: Connection, run_id: str, folder: Path, timings: Mapping[str, Mapping[str, float]]
) -> None:
    """File what is known only when all else is filed: how long each step took, and the whole.

    Args:
        connection: MLflow.
        run_id: the run.
        folder: the dossier, which holds timings.json.
        timings: ``seconds`` by step and ``cost`` of training and predicting.

    Raises:
        RegistryError: when MLflow refuses.
    """
    metrics = {key("usage", name): value for name, value in timings["cost"].items()}
    metrics |= {key("usage", "seconds", step): value for step, value in timings["seconds"].items()}
    text = (folder / TIMINGS).read_text(encoding="utf-8")
    log_run(connection, run_id, Contents(metrics=metrics, texts={f"{DOSSIER}/{TIMINGS}": text}))


def publish_documents(connection: Connection, run_id: str, folder: Path) -> None:
    """Write the pages that people read into the dossier, and file them; the last thing before it is signed.

    Args:
        connection: MLflow.
        run_id: the run.
        folder: the dossier, with its last record and timings.json.

    Raises:
        EvidenceError: a page shows what the evidence does not bear out.
        RegistryError: when MLflow refuses.
    """
    pages = write_documents(folder)
    texts = {f"{DOSSIER}/{path.relative_to(folder)}": path.read_text(encoding="utf-8") for path in pages}
    log_run(connection, run_id, Contents(texts=texts))


def _in_words(records: Mapping[str, Any]) -> dict[str, str]:
    """Tags of a version that a list of versions shows; the digests are for programs."""
    registration, tags = records["registration"], {"assay.audit_page": f"{DOSSIER}/{FOLDER}/audit.html"}
    if isinstance(verdicts := records.get("verdicts"), Verdicts):
        tags["assay.verdicts"] = verdicts.summary
    if (paired := registration.paired) is not None:
        tags["assay.against_champion"] = (
            f"{paired.verdict} than version {registration.champion_before}: {paired.metric} "
            f"{paired.difference:+.4f} ({paired.low:+.4f} to {paired.high:+.4f}), margin -{paired.margin:g}"
        )
    return tags


def metrics_of(records: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Every number of a run under a readable name; undefined ones are left out.

    MLflow draws a section of charts for all that share the part before the last slash, in alphabetical order:
    champion, gate and group come first, and a section holds what is to be compared by eye.
    """
    if isinstance(registration := records.get("registration"), Registration):
        yield from _against_champion(registration)
    if isinstance(opened := records.get("opening"), Opened):
        for on, found in {TEST: opened, **opened.audits}.items():
            for estimate in found.performance:
                for name, value in (("", estimate.value), (" low", estimate.low), (" high", estimate.high)):
                    yield key("performance", on, f"{estimate.name}{name}"), value
    if isinstance(verdicts := records.get("verdicts"), Verdicts):
        yield from _judged(verdicts)
    if isinstance(sample := records.get("representativeness"), Represented):
        yield from _representation(sample)
    if isinstance(trained := records.get("freeze"), Trained):
        for name, value in trained.validation.items():
            yield key("validation", name), value
        yield "usage/parameters", trained.parameters
        yield "usage/flops", trained.flops


def _against_champion(registration: Registration) -> Iterator[tuple[str, float]]:
    if (paired := registration.paired) is not None:
        ends = {"difference": paired.difference, "low": paired.low, "high": paired.high}
        for name, value in {**ends, "margin": -paired.margin}.items():
            yield key("champion", paired.metric, name), value


def _judged(verdicts: Verdicts) -> Iterator[tuple[str, float]]:
    for judged in verdicts.judged:
        attribute = by(judged)
        shown = {
            "measured": judged.measurement,
            "low": judged.low,
            "high": judged.high,
            "limit": judged.limit,
        }
        for name, value in shown.items():
            if value is not None:
                yield key("gate", attribute, judged.metric, name), value
        for group in judged.groups:
            if group.rate is not None:
                yield key("group", attribute, group.rate_name, group.group), group.rate


def _representation(sample: Represented) -> Iterator[tuple[str, float]]:
    for ratio in sample.ratios:
        if ratio.ratio is not None:
            yield key("representation", ratio.attribute, ratio.level), ratio.ratio
    for column in sample.drift:
        yield key("representation drift", column.column), column.value
    if sample.raked is not None:
        yield "representation/effective share", sample.raked.effective_share
        yield "representation/maximum weight", sample.raked.maximum_weight


def _series(trained: Trained | None) -> dict[str, list[float]]:
    if trained is None:
        return {}
    return {
        "train/loss": [epoch.train_loss for epoch in trained.history if epoch.train_loss is not None],
        "validation/loss": [epoch.validation_loss for epoch in trained.history],
        "validation/metric by epoch": [epoch.validation_metric for epoch in trained.history],
    }


def _inputs(dataset: Dataset | None) -> list[Input]:
    if dataset is None:
        return []
    tags = {"dataset_digest": dataset.digest}
    return [
        Input(f"{dataset.name} {name}", context, part.file.sha256, part.file.path, part.rows, tags)
        for name, part in dataset.parts.items()
        for context in ["training" if name == "train" else "testing"]
    ]


def _flat(value: Any, *place: str) -> Iterator[tuple[str, str]]:
    """Leaves of the recipe and of the limits as parameters; sources and columns are in the dossier."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name != "data" and (*place, name) != ("operations",):
                yield from _flat(inner, *place, name)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _flat(inner, *place, str(index))
    else:
        yield key(*place), str(value)


def registered_tags(registration: Registration | None) -> dict[str, str]:
    """Tags that lead from the run to its version."""
    if registration is None:
        return {}
    return {"assay.version": registration.version, "assay.alias": registration.alias or "none"}
