"""Small frozen records that steps hand to each other; never frames or tensors."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from tasks.evidence.digest import digest_file


class Record(BaseModel):
    """A frozen record; its JSON form is what the dossier keeps."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FileRef(Record):
    """A file and the digest of the bytes it had.

    Attributes:
        path: relative to the working directory, or to the dossier for files of the dossier.
        sha256: of the whole file.
        bytes: its size.
    """

    path: str
    sha256: str
    bytes: int

    @classmethod
    def of(cls, path: Path, relative_to: Path | None = None) -> FileRef:
        """Digest ``path``; store it relative to ``relative_to`` if given."""
        shown = path.relative_to(relative_to) if relative_to else path
        return cls(path=shown.as_posix(), sha256=digest_file(path), bytes=path.stat().st_size)


class Part(Record):
    """One part of a data set: its prepared file and its rows."""

    file: FileRef
    rows: int


class Deidentified(Record):
    """How the sources of a dataset version were de-identified; holds no value and no key.

    Attributes:
        fingerprint: of the key: 16 hex digits of the HMAC of a constant.
        method: version of the rules, and of the recognisers where there were texts.
        sources: name -> keyed hash of the raw file: HMAC-SHA256, under the plan's key, of its SHA-256.
        replaced: what was replaced -> how often: a column's rule, or a kind found in texts.
        forgotten: SHA-256 of the tombstones that were heeded, or None.
    """

    fingerprint: str
    method: str
    sources: dict[str, str]
    replaced: dict[str, int]
    forgotten: str | None


class Dataset(Record):
    """A dataset version: bytes pinned by DVC and named by SHA-256.

    Attributes:
        name: the plan's name.
        sources: the raw files as pinned.
        train: rows that the model may learn from (validation rows included).
        test: rows that it is judged on.
        digest: SHA-256 over the sorted (name, sha256) of the sources and of all parts.
        audits: rows of the plan's audit sets, by name.
        privacy: how the sources were de-identified; absent where the plan asks for none.
    """

    name: str
    sources: tuple[FileRef, ...]
    train: Part
    test: Part
    digest: str
    audits: dict[str, Part] = Field(default_factory=dict)
    privacy: Deidentified | None = Field(None, exclude_if=lambda found: found is None)

    @property
    def parts(self) -> dict[str, Part]:
        """Every part by name: `train`, `test`, and the audit sets."""
        return {"train": self.train, "test": self.test, **self.audits}

    @property
    def rows(self) -> str:
        """Rows of each part in words."""
        audits = "".join(f", {part.rows:,} of {name}" for name, part in self.audits.items())
        return f"{self.train.rows:,} training and {self.test.rows:,} test rows{audits}"
