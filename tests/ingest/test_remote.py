"""DVC's remotes: the local folder that is the default, and a real S3 server."""

from __future__ import annotations

import shutil
from pathlib import Path

import boto3
import pytest
from dvc.repo import Repo

from tasks.errors import SourceError
from tasks.ingest.pin import pin
from tasks.ingest.sources import fetch
from tasks.plan.source import Source
from tests.servers import start_s3

from .conftest import Small, sha256

pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value will soon:DeprecationWarning")


def push_lose_and_pull(small: Small, remote: str | None) -> None:
    """Push, lose the files, the cache and the origin, pull, and pin the same version again."""
    plan = small.plan()
    whole = pin(plan, small.top)
    with Repo(str(small.top)) as repo:
        assert repo.push(remote=remote) > 0
    for lost in (small.folder / "raw", small.folder / "prepared", small.top / ".dvc" / "cache"):
        shutil.rmtree(lost)
    shutil.rmtree(small.top / "origin")
    with Repo(str(small.top)) as repo:
        assert repo.pull(remote=remote)["stats"]["fetched"] > 0
    assert pin(plan, small.top) == whole


def test_default_remote_is_a_folder(small: Small) -> None:
    push_lose_and_pull(small, None)
    assert any((small.top / "var" / "dvc-remote").rglob("*"))


@pytest.mark.servers
@pytest.mark.timeout(240)
# aiobotocore's connector is closed by the event loop's end, which is not in our hands.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_s3_holds_the_version_and_gives_sources(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with start_s3(tmp_path / "server") as s3:
        for name, value in s3.env.items():
            monkeypatch.setenv(name, value)
        client = boto3.Session().client("s3")  # the default session keeps the first keys that it saw
        client.create_bucket(Bucket="versions")
        pin(small.plan(), small.top)
        with Repo(str(small.top)) as repo, repo.config.edit("local") as config:
            config["remote"]["store"] = {"url": "s3://versions/dvc", "endpointurl": s3.endpoint}
        push_lose_and_pull(small, "store")
        assert client.list_objects_v2(Bucket="versions", Prefix="dvc/")["KeyCount"] > 0

        content = small.files["train.csv"]
        client.put_object(Bucket="versions", Key="train.csv", Body=content)
        origin = "s3://versions/train.csv"
        source = Source(name="train.csv", sha256=sha256(content), part="all", origins=[origin])
        assert fetch(source, tmp_path / "raw" / "train.csv", None).sha256 == sha256(content)
        absent = source.model_copy(update={"origins": ["s3://versions/none.csv"]})
        with pytest.raises(SourceError, match="404"):
            fetch(absent, tmp_path / "raw" / "none.csv", None)
        client.close()
