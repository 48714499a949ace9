"""Sums over clients that keep their rows: Flower's messages, and the secure aggregation that they carry.

A sum takes four messages to each client: for its keys, for shares of its masks, for its masked numbers, and
for the shares of the masks that have to be taken away. A client that does not answer, or whose numbers are
not finite, is left out of this sum, on record, and asked again for the next one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp

from tasks.errors import Refusal
from tasks.privacy.secure import Masked, Numbers, Participant, PublicKeys, unmasked

REFUSED = 400  # code of an error that a client answers with: it can't or won't go on
Arrays: TypeAlias = Mapping[str, npt.NDArray[np.float32]]
Told: TypeAlias = Mapping[str, str | int | bytes | list[float]]
CONFIG = "told by the protocol"


class Client(Protocol):
    """Whoever holds rows: what it computes of them leaves it under masks alone."""

    def compute(self, task: str, arrays: Arrays, told: Told) -> Numbers:
        """Numbers (n,) that are to be added to those of the other clients.

        Raises:
            Refusal: they can't be computed.
        """


class Carrier(Protocol):
    """Brings messages to clients; Flower's grids do."""

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Answers, at most one to each message; an error is one too."""


class Summed(NamedTuple):
    """A sum over clients.

    Attributes:
        values: (n,).
        present: names of the clients that it is over.
        lost: a sentence on each of the others: its name, and why.
    """

    values: Numbers
    present: tuple[str, ...]
    lost: tuple[str, ...]


def client_app(client: Client) -> ClientApp:
    """The client as a Flower app, which masks all that it computes."""
    app, held = ClientApp(), list[Participant]()

    @app.query("keys")
    def keys(message: Message, _: Context) -> Message:
        held[:] = [Participant(message.metadata.dst_node_id)]  # with fresh keys for each sum
        return Message(_record(bytes=list(held[0].public())), reply_to=message)

    @app.query("shares")
    def shares(message: Message, _: Context) -> Message:
        told = _given(message)
        pairs = zip(told["clients"], told["bytes"][::2], told["bytes"][1::2], strict=True)
        sealed = held[0].share({i: PublicKeys(one, two) for i, one, two in pairs}, told["threshold"])
        return Message(_boxes(sealed), reply_to=message)

    @app.train("masked")
    def masked(message: Message, _: Context) -> Message:
        told, arrays = _given(message, "told"), message.content.array_records["arrays"]
        task = told.pop("task")
        try:
            numbers = client.compute(task, {name: array.numpy() for name, array in arrays.items()}, told)
            added = held[0].masked(numbers, _opened(message))
        except Refusal as refusal:
            return Message(Error(REFUSED, str(refusal)), reply_to=message)
        return Message(RecordDict({"masked": ArrayRecord({"masked": Array(added)})}), reply_to=message)

    @app.query("reveal")
    def reveal(message: Message, _: Context) -> Message:
        return Message(_boxes(held[0].reveal(_given(message)["clients"])), reply_to=message)

    return app


@dataclass
class Aggregation:
    """The server's side of one sum.

    Attributes:
        carrier: brings messages to the clients.
        names: of the clients, by number.
        needed: how many a sum must be over; also how many must reveal shares.
        wait: seconds for an answer.
        subject: what is summed, for messages.
        lost: number of a client -> why it is not in the sum.
        received: masked numbers, as they came; all that is seen of a single client.
    """

    carrier: Carrier
    names: Mapping[int, str]
    needed: int
    wait: float
    subject: str = "federated training"
    lost: dict[int, str] = field(default_factory=dict)
    received: dict[int, Masked] = field(default_factory=dict)

    def sum(self, task: str, arrays: Arrays, told: Told) -> Summed:
        """The sum of what the clients compute.

        Args:
            task: what they are to compute.
            arrays: what they need for it, and
            told: numbers, texts and bytes likewise.

        Raises:
            Refusal: fewer clients than needed answered.
        """
        answers = self._asked("query.keys", dict.fromkeys(self.names, RecordDict()))
        keys = {i: PublicKeys(*_given(answer)["bytes"]) for i, answer in answers.items()}
        flat = [key for pair in keys.values() for key in pair]
        known = _record(clients=list(keys), bytes=flat, threshold=self.needed)
        answers = self._asked("query.shares", dict.fromkeys(keys, known))
        sealed = {i: _opened(answer) for i, answer in answers.items()}
        question = RecordDict({"told": ConfigRecord({**told, "task": task})})
        question["arrays"] = ArrayRecord({name: Array(array) for name, array in arrays.items()})
        wanted = {i: RecordDict({**question, **_boxes(_addressed(sealed, i))}) for i in sealed}
        answers = self._asked("train.masked", wanted)
        masked = ((i, answer.content.array_records["masked"]) for i, answer in answers.items())
        self.received = {i: record["masked"].numpy() for i, record in masked}
        answers = self._asked("query.reveal", dict.fromkeys(self.received, _record(clients=[*self.received])))
        revealed = [_opened(answer) for answer in answers.values()]
        shares = {i: [each[i] for each in revealed] for i in sealed}
        values = unmasked(self.received, {i: keys[i] for i in sealed}, shares, self.needed)
        lost = [f"{self.names[i]}: {why}" for i, why in sorted(self.lost.items()) if i not in self.received]
        return Summed(values, tuple(self.names[i] for i in sorted(self.received)), tuple(lost))

    def _asked(self, kind: str, contents: Mapping[int, RecordDict]) -> dict[int, Message]:
        """Answers by number of the client, those that are no errors, in order."""
        messages = [Message(content, i, kind) for i, content in contents.items()]
        found = {
            answer.metadata.src_node_id: answer
            for answer in self.carrier.send_and_receive(messages, timeout=self.wait)
        }
        for i in contents:
            if i not in found:
                self.lost[i] = f"no answer within {self.wait:g} s"
            elif found[i].has_error():
                self.lost[i] = found[i].error.reason or "it failed without a reason"
        good = {i: found[i] for i in sorted(contents) if i in found and not found[i].has_error()}
        if len(good) < self.needed:
            raise Refusal(
                f"{self.subject}: at least {self.needed} of {len(self.names)} clients are expected, "
                f"{len(good)} answered. "
                + "; ".join(f"{self.names[i]}: {why}" for i, why in sorted(self.lost.items()))
            )
        return good


def _record(**given: Any) -> RecordDict:
    return RecordDict({CONFIG: ConfigRecord(given)})


def _given(message: Message, name: str = CONFIG) -> dict[str, Any]:
    return dict(message.content.config_records[name])


def _boxes(by_client: Mapping[int, bytes]) -> RecordDict:
    return _record(clients=list(by_client), bytes=list(by_client.values()))


def _opened(message: Message) -> dict[int, bytes]:
    told = _given(message)
    return dict(zip(told["clients"], told["bytes"], strict=True))


def _addressed(sealed: Mapping[int, Mapping[int, bytes]], to: int) -> dict[int, bytes]:
    """What the others sealed for one client, by who did."""
    return {source: boxes[to] for source, boxes in sealed.items() if source != to}
