"""Deployments on the tests' Prefect server, asked for over its API."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.request import Request, urlopen


@contextmanager
def deployed(api: str, flow: str, name: str) -> Iterator[Callable[[], list[str]]]:
    """A deployment that no worker serves; yields what lists the runs that were started of it."""
    made = ask(f"{api}/deployments/", {"name": name, "flow_id": ask(f"{api}/flows/", {"name": flow})["id"]})
    wanted = {"deployments": {"id": {"any_": [made["id"]]}}}
    yield lambda: [run["id"] for run in ask(f"{api}/flow_runs/filter", wanted)]
    ask(f"{api}/deployments/{made['id']}", None, "DELETE")


def ask(url: str, content: Any, method: str = "POST") -> Any:
    """The decoded answer to a request."""
    request = Request(url, json.dumps(content).encode(), {"Content-Type": "application/json"}, method=method)  # noqa: S310 - loopback
    with urlopen(request, timeout=20) as response:  # noqa: S310 - as above
        answer = response.read()
    return json.loads(answer) if answer else None
