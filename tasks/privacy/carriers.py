"""How messages reach the clients: within this process, or over gRPC to a process for each.

Flower's own simulation wants ray, and its deployment starts a process anew for each message. Messages and
apps are Flower's, so that its grids can carry them as well.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import grpc  # type: ignore[import-untyped]
from flwr.app import Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.common.serde import message_from_proto, message_to_proto
from flwr.proto.message_pb2 import Message as Proto

VANISHED = 503  # code of an error that stands for an answer that did not come
SERVICE, METHOD = "assay.Client", "Answer"
UNLIMITED = (("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1))
LOOPBACK = "127.0.0.1"


class Here:
    """All clients in this process, one after another: a simulation."""

    def __init__(self, apps: Mapping[int, ClientApp]) -> None:
        """Take the clients by number."""
        self.apps = apps

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Answers, in order; whoever ends the connection does not answer. Nobody is waited for."""
        del timeout
        return [self._answer(message) for message in messages]

    def _answer(self, message: Message) -> Message:
        try:
            return self.apps[message.metadata.dst_node_id](message, context_of(message))
        except ConnectionError as error:
            return Message(Error(VANISHED, f"it vanished ({error})"), reply_to=message)


class Loopback:
    """A process for each client, over gRPC on this machine."""

    def __init__(self, channels: Mapping[int, grpc.Channel]) -> None:
        """Take a channel to each client by number."""
        self.calls = {
            i: channel.unary_unary(
                f"/{SERVICE}/{METHOD}",
                request_serializer=Proto.SerializeToString,
                response_deserializer=Proto.FromString,
            )
            for i, channel in channels.items()
        }

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Answers, in the order of the messages; all clients work at the same time.

        Args:
            messages: one for each client.
            timeout: seconds for all of them.
        """
        asked = list(messages)
        called = [self.calls[each.metadata.dst_node_id] for each in asked]
        futures = [
            call.future(message_to_proto(message), timeout=timeout)
            for call, message in zip(called, asked, strict=True)
        ]
        return [_outcome(message, future) for message, future in zip(asked, futures, strict=True)]


def _outcome(message: Message, future: grpc.Future) -> Message:
    try:
        return message_from_proto(future.result())
    except grpc.RpcError as error:
        why = f"it vanished ({error.code().name}: {error.details()})"
        return Message(Error(VANISHED, why), reply_to=message)


@contextmanager
def connected(ports: Sequence[int]) -> Iterator[Loopback]:
    """Channels to clients 1, 2 ... that listen on these ports of this machine."""
    credentials = grpc.local_channel_credentials()
    channels = {
        i: grpc.secure_channel(f"{LOOPBACK}:{port}", credentials, options=UNLIMITED)
        for i, port in enumerate(ports, start=1)
    }
    try:
        yield Loopback(channels)
    finally:
        for channel in channels.values():
            channel.close()


def serve(app: ClientApp) -> tuple[grpc.Server, int]:
    """Answer messages with the app, on a free port of this machine; gives the started server and the port.

    Whoever asks is told only what kind of error kept the app from answering.
    """

    def answer(request: Proto, call: grpc.ServicerContext) -> Proto:
        def end(kind: type[BaseException] | None, error: BaseException | None, *_: object) -> None:
            if kind is not None:  # else gRPC sends its words, which may quote a row
                traceback.print_exception(error)
                call.abort(grpc.StatusCode.INTERNAL, f"{kind.__name__}: its standard error says more")

        message = message_from_proto(request)
        with ExitStack() as stack:
            stack.push(end)
            return message_to_proto(app(message, context_of(message)))

    handler = grpc.unary_unary_rpc_method_handler(
        answer, request_deserializer=Proto.FromString, response_serializer=Proto.SerializeToString
    )
    server = grpc.server(ThreadPoolExecutor(1), options=UNLIMITED)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, {METHOD: handler})])
    port = server.add_secure_port(f"{LOOPBACK}:0", grpc.local_server_credentials())
    server.start()
    return server, port


def context_of(message: Message) -> Context:
    """What Flower's apps are called with; these clients keep nothing in it."""
    return Context(0, message.metadata.dst_node_id, {}, RecordDict(), {})
