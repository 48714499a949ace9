"""An audit as a file: canonical JSON with its own digest, and read back without trusting it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tasks.audit.records import FORMAT, Audit
from tasks.errors import EvidenceError, PlanError
from tasks.evidence.digest import canonical_json, digest_of, write_atomically
from tasks.plan.load import explain


def write_audit(audit: Audit, path: Path) -> None:
    """Write ``{"audit": ..., "sha256": ...}``: the same audit gives the same bytes."""
    content = {"audit": audit.model_dump(mode="json"), "sha256": audit.digest}
    write_atomically(path, canonical_json(content) + b"\n")


def read_audit(path: Path) -> tuple[Audit, list[str]]:
    """Read what `write_audit` wrote.

    Returns:
        The audit, and a sentence if its bytes are not those that were written.

    Raises:
        PlanError: for a file that is no audit.
        EvidenceError: for an audit whose values can't be what they are called, each named.
    """
    content = _content(path)
    try:
        audit = Audit.model_validate_json(canonical_json(content["audit"]))
        audit.counted  # noqa: B018 - counts that are none are found here
    except ValidationError as error:
        problems = [line for detail in error.errors() for line in explain(detail)]
        raise EvidenceError("\n".join([f"{path}: not an audit as it was written", *problems])) from error
    except (ValueError, KeyError, TypeError) as error:
        raise EvidenceError(f"{path}: cube: {error}") from error
    found = digest_of(content["audit"])
    if found == content["sha256"]:
        return audit, []
    return audit, [f"sha256: {content['sha256']!r:.20} on record, the audit's content has {found[:12]}"]


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise PlanError(str(path), [f"an audit's JSON file is expected: {error}"]) from error
    if not isinstance(content, dict) or set(content) != {"audit", "sha256"}:
        raise PlanError(str(path), ["an audit's JSON file is expected, as `assay audit --json` writes it"])
    found = content["audit"].get("format") if isinstance(content["audit"], dict) else None
    if found != FORMAT:
        raise PlanError(str(path), [f"an audit of format {FORMAT!r} is expected, found {found!r}"])
    return content
