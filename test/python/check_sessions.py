"""Checks of sessions: a frame that comes again takes effect once, whatever breaks."""

import itertools
import random
import sys
import threading

from expectations import equal, fails_with
from varve.v1 import state_backend_pb2 as pb
from varve_client import VarveClient, VarveError
from varve_encoding import READ, decode_values, encode_record, partition_of


def check_sessions(client):
    """A frame that comes again is answered as it was, and is not applied again."""
    session = Session(client, b"{x}key")
    equal(session.write(1, b"a").written, 1)
    equal(session.write(2, b"b").written, 1)
    equal(session.write(1, b"a", resent=True).written, 1)
    equal(session.read(), b"b")
    lost = {"conditional_writes": conditional(b"{x}key", b"else", b"c")}
    fails_with("CONDITION_FAILED", lambda: session.send(3, **lost))
    stub = client.stub
    stub.Set(pb.SetRequest(key=b"{x}key", value=b"else"))
    fails_with("CONDITION_FAILED", lambda: session.send(3, resent=True, **lost))
    large = bytes(4 * 1024 * 1024 + 1)
    fails_with("VALUE_TOO_LARGE", lambda: session.write(4, large))
    fails_with("FRAME_REFUSED", lambda: session.write(4, b"d", resent=True))
    mixed = encode_record(b"{x}key", b"", READ) + encode_record(b"{x}key", b"e") + encode_record(b"{x}key", b"", READ)
    equal(decode_values(session.send(5, operations=mixed).operations.values), [b"else", b"e"])
    stub.Set(pb.SetRequest(key=b"{x}key", value=b"f"))
    equal(session.send(5, resent=True, operations=mixed).operations.written, 1)
    equal(session.read(), b"f")
    # 6 was given up before it was sent; 9 may not come before 7 and 8.
    equal(session.write(7, b"g").written, 1)
    fails_with("FRAME_OUT_OF_ORDER", lambda: session.write(9, b"i", unanswered=1))
    equal(session.write(8, b"h").written, 1)
    equal(session.write(9, b"i", unanswered=1).written, 1)
    equal(session.write(80, b"j").written, 1)
    fails_with("SESSION_EXPIRED", lambda: session.write(9, b"i", resent=True))
    equal(session.read(), b"j")


def check_refused_sequences(client):
    """What is no session, sequence or number of unanswered frames is refused, and not applied."""
    session = Session(client, b"{y}key")
    writes = encode_record(b"{y}key", b"1")
    for fields in (
        {"session": b"abc", "sequence": 1},
        {"session": bytes(17), "sequence": 1},
        {"session": session.session, "sequence": 0},
        {"session": session.session, "sequence": 1, "unanswered": 1},
        {"session": session.session, "sequence": 100, "unanswered": 64},
        {"session": session.session, "sequence": 2**64 - 1},
        {"sequence": 1},
        {"unanswered": 1},
        {"resent": True},
    ):
        with_writes = dict(fields, writes=writes)
        fails_with("FRAME_MALFORMED", lambda: session.answer(with_writes))
    reads = encode_record(b"{y}key")
    fails_with("FRAME_MALFORMED", lambda: session.answer({"session": bytes(16), "sequence": 1, "reads": reads}))
    equal(session.read(), None)


class Session:
    """Frames of one session and one key, each on a stream of its own."""

    def __init__(self, client, key):
        self.session = random.Random(key).randbytes(16)
        self._stub = client.stub
        self._key = key
        self._partition = partition_of(key, client.describe_store("default").partition_count)

    def answer(self, fields):
        frame = pb.PipelineRequest(id=1, partition=self._partition, **fields)
        [answer] = self._stub.Pipeline(iter([frame]))
        if answer.WhichOneof("result") == "error":
            raise VarveError(answer.error.code, answer.error.reason, answer.error.message)
        return answer

    def send(self, sequence, **fields):
        return self.answer(dict(fields, session=self.session, sequence=sequence))

    def write(self, sequence, value, **fields):
        return self.send(sequence, writes=encode_record(self._key, value), **fields)

    def read(self):
        return decode_values(self.answer({"reads": encode_record(self._key)}).values)[0]


def conditional(key, expected, value):
    return pb.ConditionalWrites(records=encode_record(key, value), expected=encode_record(key, expected))


class Counters:
    """Keys that are counted up, one frame a step: a step that is lost or done twice fails all behind it."""

    def __init__(self, pipeline, name):
        self._pipeline = pipeline
        self._keys = [b"%s{%d}" % (name, index) for index in range(8)]
        self._answers = []

    def step(self, number):
        """Counts each key from `number` to the next number."""
        before = b"%d" % number if number else b""
        for key in self._keys:
            self._answers.append(self._pipeline.write_if([(key, before)], (key, b"%d" % (number + 1))))

    def check(self, number):
        """Every step was done once, `number` in all."""
        for answer in self._answers:
            equal(answer.result(), 1)
        for key in self._keys:
            equal(self._pipeline.read(key).result(), [b"%d" % number])


def check_broken_streams(client):
    with client.pipeline() as pipeline:
        counters = Counters(pipeline, b"broken")
        for number in range(120):
            counters.step(number)
            if number % 20 == 10:
                pipeline.break_stream()
        counters.check(120)
        assert pipeline.streams > 3, f"{pipeline.streams} streams"


def check_killed_daemon(client):
    """The daemon is killed while frames are on their way; the next one takes effect of each once."""
    with client.pipeline() as pipeline:
        counters = Counters(pipeline, b"killed")
        moved = threading.Event()

        def move():
            pipeline.move(VarveClient(sys.stdin.readline().strip()))
            moved.set()

        counters.step(0)
        counters.check(1)
        print("kill the daemon", flush=True)
        threading.Thread(target=move, daemon=True).start()
        for number in itertools.count(1):
            counters.step(number)
            if moved.is_set():
                break
        counters.check(number + 1)
        assert pipeline.streams > 1
