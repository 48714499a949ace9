"""Make the bucket that artifacts go to: ``python -m infra.bucket NAME``; nothing happens if it exists."""

from __future__ import annotations

import sys
from contextlib import suppress

import boto3


def make_bucket(name: str) -> None:
    """Make the bucket ``name`` on the S3 server that ``AWS_ENDPOINT_URL`` and ``AWS_*`` name."""
    client = boto3.Session().client("s3")  # the default session keeps the first keys that it saw
    there = (client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists)
    with suppress(*there):
        client.create_bucket(Bucket=name)


if __name__ == "__main__":
    make_bucket(sys.argv[1])
