"""Verify: a dossier's signatures, files and chain, and the registered files, before anything is loaded."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from flows.outcome import Outcome
from flows.signed import Target, found
from infra.settings import Settings
from tasks.errors import EvidenceError
from tasks.evidence.anchor import Anchor, anchors, read_certificates
from tasks.evidence.keys import PublicKey, local_public_key, read_public_keys
from tasks.evidence.signature import Verified, verify_dossier
from tasks.evidence.tag import tags_of_head
from tasks.plan import load_plan


def run_verify(
    target: str, trust: Sequence[str], ca: Path | None, settings: Settings, *, allow_unenrolled: bool
) -> Outcome:
    """Check a dossier and say who signed it and since when it is anchored; exit 3 names the first bad entry.

    Args:
        target: MODEL@REF (an alias or a version), or a dossier's folder, copied anywhere.
        trust: keys, or PEM files of keys, beside those of the plan in ``data/`` and of ASSAY_TRUST.
        ca: PEM file of certificates that vouch for timestamp authorities.
        settings: where plans, keys and MLflow are.
        allow_unenrolled: count the local key of ``var/keys`` too.

    Raises:
        PlanError: for a target, a key or a plan that is none.
        RegistryError: when MLflow can't be read.
    """
    given = [*trust, *([settings.trust] if settings.trust else [])]
    asked = read_public_keys(given, "verify")
    roots = read_certificates(ca) if ca else []
    with tempfile.TemporaryDirectory(prefix="assay-verify-") as scratch:
        try:
            dossier = found(target, settings, Path(scratch))
            names = trusted_names(dossier, settings, asked, allow_unenrolled=allow_unenrolled)
            verified = verify_dossier(dossier.folder, {key.key_id: key for key in names})
            lines = [
                f"signed by {_named(names, verified)}, key {verified.key_id}",
                f"the chain is whole and each of its {len(verified.files)} files as signed",
                f"head {verified.head}",
                *dossier.registered_lines(verified, Path(scratch) / "registered"),
                *anchored(verified, anchors(dossier.folder, roots)),
            ]
        except EvidenceError as error:
            return Outcome(title="Not verified", exit_code=error.exit_code, lines=(str(error),))
    return Outcome(title="Verified", exit_code=0, lines=tuple(lines))


def trusted_names(
    dossier: Target, settings: Settings, asked: Sequence[PublicKey], *, allow_unenrolled: bool
) -> dict[PublicKey, str]:
    """The keys that count, and whose they are. The plan inside of the dossier is not asked."""
    names: dict[PublicKey, str] = {}
    local = local_public_key(settings.var)
    if allow_unenrolled and local is not None:
        names[local] = "the local key of this working directory, unenrolled"
    names |= dict.fromkeys(asked, "a key that --trust or ASSAY_TRUST lists")
    plan = dossier.plan
    if plan and (settings.data / plan / "plan.yaml").is_file():
        for one in load_plan(plan, settings.data).operations.signing.trusted:
            names[PublicKey.parse(one.key)] = f"{one.name}, listed by {settings.data / plan / 'plan.yaml'}"
    return names


def anchored(verified: Verified, tokens: Sequence[Anchor]) -> list[str]:
    """Since when the head is known to have existed, in words; "unanchored" where nothing outside says so."""
    lines = [_sentence(one, verified) for one in tokens]
    lines += [f"anchored at {one.time} by {one.by}" for one in tags_of_head(verified.head)]
    if any(one.index == verified.index for one in tokens) or len(lines) > len(tokens):
        return lines
    return [*lines, "unanchored: the chain proves the order of its records, not their time (`assay anchor`)"]


def _sentence(one: Anchor, verified: Verified) -> str:
    upto = "" if one.index == verified.index else f", up to record {one.index:02d}"
    trust = "" if one.checked else "; its certificate was not checked: give the authority's with --ca"
    return f"anchored at {one.time} by {one.by}{upto}{trust}"


def _named(names: dict[PublicKey, str], verified: Verified) -> str:
    return next(name for key, name in names.items() if key.key_id == verified.key_id)
