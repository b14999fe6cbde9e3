"""A small client of Varve, written from proto/README.md and the .proto file alone: it shows that they suffice.

    client = VarveClient("127.0.0.1:7400")
    client.stub.Set(pb.SetRequest(key=b"user:1", value=b"Ada"))         calls as they are in the contract
    with client.pipeline("default") as pipeline:                        frames, many in flight
        answers = [pipeline.read(key) for key in keys]                  each a concurrent.futures.Future
        values = [answer.result() for answer in answers]

Frames with writes belong to a session: when the stream breaks, all frames without an answer are sent again, in order, on a
new one, and take effect once.
"""

import os
import threading
import time
from collections import deque
from concurrent.futures import Future

import grpc
from google.rpc import error_details_pb2, status_pb2
from varve.v1 import state_backend_pb2 as pb
from varve.v1 import state_backend_pb2_grpc as rpc
from varve_encoding import READ, decode_values, encode_keys, encode_record, encode_records, partition_of

FRAMES_IN_FLIGHT_MAX = 256
WRITES_IN_FLIGHT_MAX = 64  # of one partition; a session remembers as many
NOT_ANSWERED = "not answered"  # a read that the answer had no room for: to be read again
RECONNECT_SECONDS = 0.05
RECONNECTS_MAX = 600

# A frame that was answered so is sent again as it is.
SENT_AGAIN = ("SHUTTING_DOWN", "FRAME_OUT_OF_ORDER", "RESTORE_IN_PROGRESS", "ENGINE_CLOSED", "CONNECTION_LOST")


class VarveError(Exception):
    """A call, a frame or an operation failed; `reason` is one of the table in proto/README.md."""

    def __init__(self, code, reason, message, metadata=None):
        super().__init__(f"{reason}: {message}")
        self.code = code
        self.reason = reason
        self.message = message
        self.metadata = metadata or {}


def error_of_call(error):
    """The VarveError of a grpc.RpcError: its reason is in the trailer, in a google.rpc.ErrorInfo."""
    for name, value in error.trailing_metadata() or ():
        if name != "grpc-status-details-bin":
            continue
        for detail in status_pb2.Status.FromString(value).details:
            info = error_details_pb2.ErrorInfo()
            if detail.Unpack(info) and info.domain == "varve":
                return VarveError(error.code().value[0], info.reason, error.details(), dict(info.metadata))
    return VarveError(error.code().value[0], "", error.details())


def error_of_frame(error):
    """The VarveError of a FrameError."""
    return VarveError(error.code, error.reason, error.message)


class VarveClient:
    """A channel to a daemon; `stub` has the calls of the contract."""

    def __init__(self, address):
        # Answers may be larger than what gRPC takes unless told otherwise.
        self._channel = grpc.insecure_channel(address, options=[("grpc.max_receive_message_length", -1)])
        self.stub = rpc.StateBackendStub(self._channel)

    def call(self, name, request):
        """The answer of a call. Raises VarveError."""
        try:
            return getattr(self.stub, name)(request)
        except grpc.RpcError as error:
            raise error_of_call(error) from error

    def describe_store(self, name):
        """What the daemon says of one store."""
        return self.call("Describe", pb.DescribeRequest(store=name)).stores[0]

    def scan(self, **arguments):
        """The records of a scan, one by one. Raises VarveError."""
        try:
            for page in self.stub.Scan(pb.ScanRequest(**arguments)):
                yield from ((record.key, record.value) for record in page.records)
        except grpc.RpcError as error:
            raise error_of_call(error) from error

    def pipeline(self, store="default"):
        """A pipeline to a store."""
        return Pipeline(self.stub, store, self.describe_store(store).partition_count)

    def close(self):
        """Ends the channel."""
        self._channel.close()


class Frame:
    """A frame without an answer."""

    def __init__(self, request, decode):
        self.request = request
        self.decode = decode
        self.future = Future()

    def settle(self, answer):
        """Gives the caller what came of the frame."""
        if answer.WhichOneof("result") == "error":
            self.future.set_exception(error_of_frame(answer.error))
        else:
            self.future.set_result(self.decode(answer))


class Pipeline:
    """One two-way stream at a time. Frames of a partition take effect, and are answered, in the order of the calls."""

    def __init__(self, stub, store, partition_count):
        self._stub = stub
        self._store = store
        self.partition_count = partition_count
        self._session = os.urandom(16)
        self._sequences = {}  # by partition, the last one given
        self._frames = {}  # by partition, those without an answer: a deque
        self._unsent = deque()  # those that the present stream has not sent
        self._next_id = 1
        self._changed = threading.Condition()
        self._is_closed = False
        self.streams = 0  # how many there were
        self._call = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    # What to do. Each answers a Future.

    def read(self, *keys):
        """A list of values, None for a key that has none. All keys belong to one partition."""
        return self._send(keys[0], {"reads": encode_keys(keys)}, lambda answer: decode_values(answer.values))

    def write(self, *records):
        """How many records were applied: all. They belong to one partition."""
        work = {"writes": encode_records(records)}
        return self._send(records[0][0], work, lambda answer: answer.written, True)

    def write_if(self, expected, *records):
        """As `write`, if each key of `expected` has exactly the value beside it; else fails with CONDITION_FAILED."""
        writes = pb.ConditionalWrites(records=encode_records(records), expected=encode_records(expected))
        work = {"conditional_writes": writes}
        return self._send(expected[0][0], work, lambda answer: answer.written, True)

    def operate(self, *operations):
        """For each operation, a key to read or a pair of key and value to write: its value (of a write: None), VarveError,
        or NOT_ANSWERED. All keys belong to one partition."""
        is_read = [isinstance(operation, bytes) for operation in operations]
        encoded = b"".join(
            encode_record(operation, b"", READ) if isinstance(operation, bytes) else encode_record(*operation)
            for operation in operations
        )
        first = operations[0] if is_read[0] else operations[0][0]
        has_writes = not all(is_read)
        return self._send(first, {"operations": encoded}, lambda answer: results_of(answer, is_read), has_writes)

    def send_raw(self, partition, work, decode=lambda answer: answer, has_writes=False):
        """As the others, with the work and the partition of the frame as given. The result is the answer."""
        return self._append(partition, work, decode, has_writes)

    def break_stream(self):
        """Cuts the present stream, as a network does."""
        with self._changed:
            self._changed.wait_for(lambda: self._call is not None)
        self._call.cancel()

    def move(self, client):
        """Goes on through another client: with the daemon that has the partitions now."""
        self._stub = client.stub
        self.break_stream()

    def close(self):
        """Waits for the answers of all frames and ends the stream."""
        with self._changed:
            self._changed.wait_for(lambda: not self._count())
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.close()

    # From a call to an answer.

    def _send(self, key, work, decode, has_writes=False):
        return self._append(partition_of(key, self.partition_count), work, decode, has_writes)

    def _append(self, partition, work, decode, has_writes):
        request = pb.PipelineRequest(store=self._store, partition=partition, **work)
        frame = Frame(request, decode)
        with self._changed:
            self._changed.wait_for(lambda: self._has_room(partition))
            request.id = self._next_id
            self._next_id = self._next_id % 0xFFFFFFFF + 1
            if has_writes:
                request.session = self._session
                request.sequence = self._sequences.get(partition, 0) + 1
                self._sequences[partition] = request.sequence
            self._frames.setdefault(partition, deque()).append(frame)
            self._unsent.append(frame)
            self._changed.notify_all()
        return frame.future

    def _has_room(self, partition):
        in_flight = len(self._frames.get(partition, ()))
        return in_flight < WRITES_IN_FLIGHT_MAX and self._count() < FRAMES_IN_FLIGHT_MAX

    def _count(self):
        return sum(map(len, self._frames.values()))

    def _run(self):
        """One stream after the other, until the pipeline is closed."""
        for attempt in range(RECONNECTS_MAX):
            self.streams += 1
            stream = Stream()
            with self._changed:
                self._call = self._stub.Pipeline(self._requests(stream))
                self._changed.notify_all()
            try:
                for answer in self._call:
                    if answer.error.reason in SENT_AGAIN:
                        self._call.cancel()
                        break
                    self._take(answer)
                reason = "the daemon ended the stream"
            except grpc.RpcError as error:
                reason = error.details()
            with self._changed:
                stream.is_over = True
                self._changed.notify_all()
                if self._is_closed:
                    return
                self._unsent = deque(self._in_order())
            time.sleep(RECONNECT_SECONDS)
        with self._changed:
            for frame in self._in_order():
                frame.future.set_exception(VarveError(14, "CONNECTION_LOST", reason))
            self._frames.clear()
            self._changed.notify_all()

    def _in_order(self):
        return [frame for frames in self._frames.values() for frame in frames]

    def _requests(self, stream):
        """What a stream sends: gRPC asks for one after the other, on a thread of its own."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: stream.is_over or self._is_closed or self._unsent)
                if stream.is_over or self._is_closed:
                    return
                request = self._sealed(self._unsent.popleft().request)
            yield request

    def _sealed(self, request):
        if request.session:
            before = [each.request for each in self._frames[request.partition]]
            request.unanswered = sum(1 for each in before if each.session and each.sequence < request.sequence)
        sent = pb.PipelineRequest()
        sent.CopyFrom(request)
        request.resent = bool(request.session)
        return sent

    def _take(self, answer):
        with self._changed:
            for frames in self._frames.values():
                if frames and frames[0].request.id == answer.id:
                    frame = frames.popleft()
                    break
            else:
                raise AssertionError(f"an answer to frame {answer.id} has overtaken another")
            self._changed.notify_all()
        frame.settle(answer)


class Stream:
    """Whether a stream is over: its sender sees it, and ends."""

    def __init__(self):
        self.is_over = False


def results_of(answer, is_read):
    """The results of operations, one each."""
    operations = answer.operations
    values = iter(decode_values(operations.values))
    not_written = error_of_frame(operations.writes_error) if operations.HasField("writes_error") else None
    results = [next(values, NOT_ANSWERED) if read else not_written for read in is_read]
    for error in operations.errors:
        results[error.index] = error_of_frame(error.error)
    return results
