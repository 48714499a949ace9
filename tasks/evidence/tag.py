"""A git tag that names a dossier's head: an anchor once it is pushed to where others keep it."""

from __future__ import annotations

import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from tasks.errors import PlanError
from tasks.evidence.records import Record

PREFIX = "assay/"


class Tagged(Record):
    """An annotated tag of the repository at hand.

    Attributes:
        time: UTC, by the tagger's own clock.
        by: the tag and its tagger.
    """

    time: str
    by: str


def write_tag(name: str, head: str, judgement: str) -> str:
    """Write an annotated tag on the current commit that names the head and the judgement's digest.

    Args:
        name: of the dossier, ``adult/1``.
        head: SHA-256 of the last record.
        judgement: digest of the plan's judgement.

    Returns:
        The tag's name.

    Raises:
        PlanError: outside of a repository, without a committer's name, or when the tag is there already.
    """
    tag = f"{PREFIX}{name}/{head[:12]}"
    done = _git("tag", "-a", tag, "-m", f"assay: {name}\n\nhead {head}\njudgement {judgement}\n")
    if done.returncode:
        raise PlanError("anchor", [f"git could not write the tag {tag}: {done.stderr.strip()}"])
    return tag


def tags_of_head(head: str) -> list[Tagged]:
    """Annotated tags of the repository at hand that name a head; none where there is no repository."""
    fields = "%(refname:short)%00%(taggername) %(taggeremail)%00%(taggerdate:unix)%00%(contents)%01"
    listed = _git("for-each-ref", f"--format={fields}", f"refs/tags/{PREFIX}**")
    rows = [row.strip("\n").split("\0") for row in listed.stdout.split("\x01") if row.strip("\n")]
    wanted = re.compile(rf"^head {head}$", re.MULTILINE)
    return [
        Tagged(
            time=datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%d %H:%M:%SZ"),
            by=f"the git tag {name} of {tagger.strip()} (its own clock; it proves a time once it is pushed)",
        )
        for name, tagger, seconds, content in rows
        if seconds and wanted.search(content)
    ]


def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run git in the working directory."""
    return subprocess.run(
        ["git", "-C", str(Path.cwd()), *arguments], capture_output=True, text=True, check=False
    )
