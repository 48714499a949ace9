"""The signature of a dossier: who signed which head, and which files, checked before anything is loaded.

The format is specified in docs/evidence_format.md, apart from this code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tasks.errors import EvidenceError
from tasks.evidence.digest import digest_file, write_atomically
from tasks.evidence.dossier import Entry, check_files, read_chain
from tasks.evidence.envelope import files_below, seal, statement, subjects, unseal
from tasks.evidence.keys import PublicKey, SigningKey
from tasks.evidence.records import Record

SIGNATURES = "signatures"
UNSIGNED = frozenset({SIGNATURES, "timings.json"})
"""What no envelope lists: envelopes and anchors themselves, and durations, known only at the end."""
DOSSIER = "urn:assay:dossier:1"


class Signed(Record):
    """A signature of a dossier's head.

    Attributes:
        key_id: of the key that signed: SHA-256 (hex) of its public half in DER.
        enrolled: whether that key is named in the environment or the plan.
        head: SHA-256 of the last record.
        path: of the envelope, from the dossier's folder.
    """

    key_id: str
    enrolled: bool
    head: str
    path: str

    @property
    def by(self) -> str:
        """The key in words."""
        return f"key {self.key_id[:16]}{'' if self.enrolled else ', unenrolled'}"

    @property
    def allowance(self) -> str:
        """What `assay verify` needs beside the target."""
        return "" if self.enrolled else " --allow-unenrolled"

    @property
    def tags(self) -> dict[str, str]:
        """What a model version, or a run, carries to name the signature."""
        standing = "enrolled" if self.enrolled else "unenrolled"
        return {"assay.dossier_head": self.head, "assay.signed_by": self.key_id, "assay.signer": standing}


class Verified(Record):
    """A dossier that is what was signed.

    Attributes:
        head: SHA-256 of the last record.
        index: its place in the chain.
        files: path -> SHA-256 of every signed file.
        registered: the same of the registered model's files; empty where none was registered.
        key_id: the newest envelope's.
        enrolled: what the signer said of that key.
        plan: the plan's name; "" if the run ended before it was recorded.
        judgement: digest of its judgement; "" likewise.
        model_uri: of the registered version; "" if there is none.
    """

    head: str
    index: int
    files: dict[str, str]
    registered: dict[str, str]
    key_id: str
    enrolled: bool
    plan: str
    judgement: str
    model_uri: str


def sign_dossier(folder: Path, key: SigningKey) -> Signed:
    """Sign the dossier as it is: its head, and by their digests all of its files but `UNSIGNED`.

    May be called again after records were appended: earlier envelopes stay, the newest covers the new head.

    Raises:
        EvidenceError: for a dossier without records, or whose chain is broken.
    """
    entries = _chain(folder)
    signed = _signed_files(folder)
    last = entries[-1]
    stated = statement(DOSSIER, signed, _predicate(entries, signed, enrolled=key.enrolled))
    path = f"{SIGNATURES}/{last.index:02d}.json"
    write_atomically(folder / path, seal(stated, key))
    head = signed[f"records/{last.file_name}"]
    return Signed(key_id=key.key_id, enrolled=key.enrolled, head=head, path=path)


def verify_dossier(folder: Path, trusted: Mapping[str, PublicKey]) -> Verified:
    """Check signatures, every file and the chain, in this order; nothing of the dossier is loaded or run.

    Args:
        folder: the dossier, copied anywhere.
        trusted: the keys that count, by their ids. What lies in the folder can't vouch for itself.

    Raises:
        EvidenceError: naming the first entry that is edited, missing, reordered, cut off, added, or not
            signed by one of the keys.
    """
    paths = envelopes(folder)
    if not paths:
        raise EvidenceError(f"{folder}: not signed: an envelope below {SIGNATURES}/ is expected, found none")
    read = [(path, *unseal(path, DOSSIER, trusted)) for path in paths]
    newest, stated, key_id = read[-1]
    _require_signed_files(folder, newest, subjects(stated))
    entries = _chain(folder)
    if problems := check_files(folder, entries):
        raise EvidenceError(f"{folder}: {problems[0]}")
    for path, earlier, _ in read:
        _require_stated(path, earlier, entries)
    return Verified(files=subjects(stated), key_id=key_id, **stated["predicate"])


def envelopes(folder: Path) -> list[Path]:
    """A dossier's envelopes, the newest last."""
    return sorted((folder / SIGNATURES).glob("[0-9]*.json"), key=lambda path: (len(path.name), path.name))


def _signed_files(folder: Path) -> dict[str, str]:
    return {
        name: digest for name, digest in files_below(folder).items() if name.split("/")[0] not in UNSIGNED
    }


def _chain(folder: Path) -> list[Entry]:
    entries = list(read_chain(folder))
    if not entries:
        raise EvidenceError(f"{folder}: no dossier: a folder with records/00-plan.json is expected")
    return entries


def _body(entries: list[Entry], step: str) -> dict[str, Any]:
    return next((entry.body for entry in reversed(entries) if entry.step == step), {})


def _predicate(entries: list[Entry], files: Mapping[str, str], *, enrolled: bool) -> dict[str, Any]:
    """What is stated beside the files; all of it follows from the records but ``enrolled``."""
    last, plan, registration = entries[-1], _body(entries, "plan"), _body(entries, "registration")
    return {
        "head": files[f"records/{last.file_name}"],
        "index": last.index,
        "plan": plan.get("name", ""),
        "judgement": plan.get("digests", {}).get("judgement", ""),
        "model_uri": registration.get("model_uri", ""),
        "registered": registration.get("files", {}),
        "enrolled": enrolled,
    }


def _require_signed_files(folder: Path, envelope: Path, signed: Mapping[str, str]) -> None:
    """Name the first record, or else file, that is not as signed."""
    found = _signed_files(folder)
    for problem in _differences(found, signed):
        raise EvidenceError(f"{folder}: {problem} (by {envelope.relative_to(folder)})")


def _differences(found: Mapping[str, str], signed: Mapping[str, str]) -> Iterator[str]:
    names = {digest: name for name, digest in signed.items() if name.startswith("records/")}
    for name in sorted({*found, *signed}, key=lambda name: (not name.startswith("records/"), name)):
        here, expected = found.get(name), signed.get(name)
        if here == expected:
            continue
        if expected is None:
            told = "reordered: it is what was signed as " + names[here] if here in names else "added"
        elif here is None:
            told = "cut off, and all after it" if _is_end(name, found) else "deleted"
        elif here in names:
            told = f"reordered: it is what was signed as {names[here]}"
        else:
            told = f"edited: signed with SHA-256 {expected[:12]}…, found {here[:12]}…"
        yield f"{name}: {told}"


def _is_end(name: str, found: Mapping[str, str]) -> bool:
    """Whether ``name`` is a record after which none is there."""
    records = [other for other in found if other.startswith("records/")]
    return name.startswith("records/") and name > max(records, default="")


def _require_stated(path: Path, stated: Mapping[str, Any], entries: list[Entry]) -> None:
    """Hold what an envelope states against the records that it covers."""
    index = stated["predicate"].get("index")
    if not isinstance(index, int) or path.stem != f"{index:02d}" or index >= len(entries):
        raise EvidenceError(f"{path}: reordered: it states record {index}, there are {len(entries)} records")
    covered = entries[: index + 1]
    files = {name: digest for name, digest in subjects(stated).items() if name.startswith("records/")}
    folder = path.parents[1]
    here = {f"records/{one.file_name}": digest_file(folder / "records" / one.file_name) for one in covered}
    if here != files:
        raise EvidenceError(f"{path}: its records are not the first {index + 1} of this dossier")
    expected = _predicate(covered, files, enrolled=bool(stated["predicate"].get("enrolled")))
    if stated["predicate"] != expected:
        differing = sorted(key for key in expected if stated["predicate"].get(key) != expected[key])
        raise EvidenceError(f"{path}: it states another {', '.join(differing)} than the records hold")
