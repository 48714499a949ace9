"""Anchor: have a dossier's head vouched for from outside, so that its time is more than its own word."""

from __future__ import annotations

import tempfile
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from flows.outcome import Outcome
from flows.signed import Target, found
from infra.settings import Settings
from tasks.errors import PlanError, SourceError, SourceUnreachable
from tasks.evidence.anchor import Anchor, check_token, last_record, read_certificates, request_for, token_path
from tasks.evidence.digest import digest_file, write_atomically
from tasks.evidence.dossier import body_of, read_chain
from tasks.evidence.tag import write_tag

WAIT = 30.0  # seconds for an authority's answer
LONGEST = 1 << 20  # bytes of it; real ones have a few thousand
QUERY, REPLY = "application/timestamp-query", "application/timestamp-reply"


def run_anchor(
    target: str, tsa: str | None, ca: Path | None, settings: Settings, *, git_tag: bool
) -> Outcome:
    """Anchor the newest head of a dossier; it may be done again after records were added.

    Args:
        target: MODEL@REF (an alias or a version), or a dossier's folder.
        tsa: address of a timestamp authority, ``http(s)://``.
        ca: PEM file of certificates that vouch for it; without it the token is kept unchecked, and said so.
        settings: where MLflow and the local dossiers are.
        git_tag: write an annotated tag too.

    Raises:
        PlanError: when nothing is asked for, or git can't write.
        SourceError: when the authority does not answer, or refuses.
        EvidenceError: for a dossier whose chain is broken, or a token that does not hold.
    """
    if not (tsa or git_tag):
        raise PlanError("anchor", ["where is asked for: --tsa URL, --git-tag, or both"])
    if tsa and urllib.parse.urlsplit(tsa).scheme not in {"http", "https"}:
        raise PlanError("anchor", [f"--tsa: an http(s) address is expected, found {tsa!r}"])
    lines = []
    with tempfile.TemporaryDirectory(prefix="assay-anchor-") as scratch:
        dossier = found(target, settings, Path(scratch))
        entries, record = list(read_chain(dossier.folder)), last_record(dossier.folder)
        if tsa:
            one = _stamp(record, tsa, ca)
            _keep(dossier, token_path(record), settings)
            trust = "" if one.checked else "; its certificate was not checked: give the authority's with --ca"
            lines.append(f"anchored at {one.time} by {one.by}{trust}")
        if git_tag:
            judgement = body_of(entries, "plan")["digests"]["judgement"]
            tag = write_tag(dossier.name, digest_file(record), judgement)
            lines.append(f"tagged {tag}; it counts once others have it: git push REMOTE {tag}")
    return Outcome(title="Anchored", exit_code=0, lines=tuple(lines))


def _stamp(record: Path, tsa: str, ca: Path | None) -> Anchor:
    """Ask for a timestamp, check it and leave it beside the envelopes."""
    roots = read_certificates(ca) if ca else []
    request = request_for(record)
    content = _post(tsa, request.as_bytes())
    anchor = check_token(content, record, roots, request)
    write_atomically(token_path(record), content)
    return anchor


def _keep(dossier: Target, token: Path, settings: Settings) -> None:
    """A registered version's token goes into its run, and into the run's dossier on this machine."""
    if dossier.registered is None:
        return
    from tasks.register.runs import upload_folder  # noqa: PLC0415 - MLflow: a folder needs none

    run_id = dossier.registered.version.run_id
    upload_folder(dossier.registered.connection, run_id, token.parent, f"dossier/{token.parent.name}")
    local = settings.var / "dossiers" / dossier.plan / run_id
    if local.is_dir():
        write_atomically(local / token.parent.name / token.name, token.read_bytes())


def _post(url: str, query: bytes) -> bytes:
    """An authority's answer to a query (RFC 3161, section 3.4)."""
    headers = {"Content-Type": QUERY, "Accept": REPLY}
    request = urllib.request.Request(url, query, headers)  # noqa: S310 - http(s) alone, see above
    try:
        with urllib.request.urlopen(request, timeout=WAIT) as answer:  # noqa: S310 - likewise
            content: bytes = answer.read(LONGEST)
    except urllib.error.HTTPError as error:
        raise SourceError(
            f"the timestamp authority {url} answers HTTP {error.code}: {error.reason}"
        ) from error
    except OSError as error:
        raise SourceUnreachable(
            f"the timestamp authority {url} does not answer ({error}): try again, or another one"
        ) from error
    return content
