"""Checks a daemon through the client of this folder; prints a line for each check that has passed.

    check_client.py ADDRESS OURS THEIRS

It asks for a crash with the line `kill the daemon`, and then takes the address of the next one from its input.
OURS: records that another client has written, a line each: key, value and partition, in hex and decimal. THEIRS: where to
put those that are written here, in the same form, for the other client to read.
"""

import random
import sys

from check_sessions import check_broken_streams, check_killed_daemon, check_refused_sequences, check_sessions
from expectations import equal, fails_with
from varve.v1 import state_backend_pb2 as pb
from varve_client import NOT_ANSWERED, VarveClient
from varve_encoding import encode_record, encode_records, partition_of, slot_of

SEED = 7
RECORDS = 10_000
KEYS_A_FRAME = 50


def main(address, ours, theirs):
    client = VarveClient(address)
    checks = [
        ("slots", lambda: check_slots()),
        ("describe", lambda: check_describe(client)),
        ("points", lambda: check_points(client)),
        ("error details", lambda: check_error_details(client)),
        ("their records", lambda: check_records(client, ours)),
        ("our records", lambda: write_records(client, theirs)),
        ("order", lambda: check_order(client)),
        ("conditions", lambda: check_conditions(client)),
        ("failed frames", lambda: check_failed_frames(client)),
        ("lineage", lambda: check_lineage(client)),
        ("operations", lambda: check_operations(client)),
        ("sessions", lambda: check_sessions(client)),
        ("refused sequences", lambda: check_refused_sequences(client)),
        ("broken streams", lambda: check_broken_streams(client)),
        ("scan", lambda: check_scan(client)),
        ("versions", lambda: check_versions(client)),
        ("a killed daemon", lambda: check_killed_daemon(client)),
    ]
    for name, check in checks:
        check()
        print(name, flush=True)
    client.close()


def check_slots():
    equal(slot_of(b"123456789"), 0x31C3)
    equal(slot_of(b"{user:1}:name"), slot_of(b"{user:1}:age"))
    equal(slot_of(b"{user:1}:name"), slot_of(b"user:1"))
    assert slot_of(b"{}a") != slot_of(b"{}b") and slot_of(b"}{a") != slot_of(b"}{b")
    equal(slot_of(b"a{b}c{d}"), slot_of(b"b"))


def check_describe(client):
    store = client.describe_store("default")
    equal(store.partition_count, len(store.partitions))
    for each in store.partitions:
        equal(partition_of_slot(each.slot_first, store.partition_count), each.partition)
        equal(partition_of_slot(each.slot_last, store.partition_count), each.partition)


def partition_of_slot(slot, count):
    return ((slot + 1) * count - 1) // 16384


def check_points(client):
    stub = client.stub
    stub.Set(pb.SetRequest(key=b"point", value=b"one"))
    equal(stub.Get(pb.GetRequest(key=b"point")), pb.GetResponse(found=True, value=b"one"))
    stub.Delete(pb.DeleteRequest(key=b"point"))
    equal(stub.Get(pb.GetRequest(key=b"point")), pb.GetResponse())
    stub.Write(pb.WriteRequest(records=[pb.Record(key=b"{p}1", value=b"1"), pb.Record(key=b"{p}2", value=b"2")]))
    many = stub.GetMany(pb.GetManyRequest(keys=[b"{p}2", b"none", b"{p}1"]))
    equal([(each.found, each.value) for each in many.values], [(True, b"2"), (False, b""), (True, b"1")])


def check_error_details(client):
    large = bytes(65_536)
    error = fails_with("KEY_TOO_LARGE", lambda: client.call("Get", pb.GetRequest(key=large)))
    equal(error.code, 3)
    assert error.message, "an error says what is wrong"
    fails_with("STORE_UNKNOWN", lambda: client.call("Get", pb.GetRequest(store="none", key=b"a")))
    fails_with("STORE_UNKNOWN", lambda: list(client.scan(store="none")))
    too_large = pb.SetRequest(key=b"a", value=bytes(9 * 1024 * 1024))
    fails_with("MESSAGE_TOO_LARGE", lambda: client.call("Set", too_large))
    fails_with("PARTITION_OUT_OF_RANGE", lambda: client.call("Get", pb.GetRequest(key=b"a", partition=1000)))


def check_records(client, path):
    """What another client has written is here, and its keys live where they should."""
    with client.pipeline() as pipeline, open(path, encoding="ascii") as lines:
        expected = [parse_line(line) for line in lines]
        count = pipeline.partition_count
        for key, _, partition in expected:
            equal(partition_of(key, count), partition)
        answers = [
            (records, pipeline.read(*(key for key, _ in records)))
            for records in frames_of(((key, value) for key, value, _ in expected), count)
        ]
        for records, answer in answers:
            equal(answer.result(), [value or None for _, value in records])
    assert len(expected) == RECORDS


def write_records(client, path):
    """Writes records of random bytes, many frames in flight, and lists them for the other client."""
    chance = random.Random(SEED)
    records = {}
    for index in range(RECORDS):
        name = b"py:%d:" % index if index % 3 else b"{py%d}%d:" % (index % 97, index)
        key = name + chance.randbytes(chance.randrange(30))
        records[key] = chance.randbytes(chance.randrange(0, 200))
    records[b"py:large"] = chance.randbytes(4 * 1024 * 1024)
    records[b"py:" + bytes(65_532)] = b"the longest key"
    with client.pipeline() as pipeline:
        count = pipeline.partition_count
        answers = [(len(frame), pipeline.write(*frame)) for frame in frames_of(records.items(), count)]
        for written, answer in answers:
            equal(answer.result(), written)
    with open(path, "w", encoding="ascii") as lines:
        for key, value in records.items():
            lines.write(f"{key.hex()} {value.hex()} {partition_of(key, count)}\n")


def frames_of(records, partition_count):
    """The records in lists of at most KEYS_A_FRAME of one partition each, and few bytes."""
    open_frames = {}
    for key, value in records:
        frame = open_frames.setdefault(partition_of(key, partition_count), [])
        frame.append((key, value))
        if len(frame) == KEYS_A_FRAME or len(value) > 100_000:
            yield open_frames.pop(partition_of(key, partition_count))
    yield from open_frames.values()


def parse_line(line):
    key, value, partition = line.rstrip("\n").split(" ")
    return bytes.fromhex(key), bytes.fromhex(value), int(partition)


def check_order(client):
    """Each read sees the writes before it and none behind it."""
    with client.pipeline() as pipeline:
        answers = []
        for turn in range(300):
            value = b"%d" % turn
            for key in (b"order-a", b"order-b"):
                answers.append((turn, pipeline.write((key, value)), pipeline.read(key)))
        for turn, written, read in answers:
            equal(written.result(), 1)
            equal(read.result(), [b"%d" % turn])


def check_conditions(client):
    with client.pipeline() as pipeline:
        equal(pipeline.write_if([(b"{c}lock", b"")], (b"{c}lock", b"me")).result(), 1)
        refused = pipeline.write_if([(b"{c}lock", b"")], (b"{c}lock", b"you"), (b"{c}more", b"x"))
        error = fails_with("CONDITION_FAILED", refused.result)
        equal(error.code, 10)
        equal(pipeline.read(b"{c}lock", b"{c}more").result(), [b"me", None])


def check_failed_frames(client):
    """An error ends its frame only: those before and behind it take effect."""
    with client.pipeline() as pipeline:
        partition = partition_of(b"failed", pipeline.partition_count)
        other = (partition + 1) % pipeline.partition_count
        first = pipeline.write((b"failed", b"1"))
        bad = [
            ("WRONG_PARTITION", pipeline.send_raw(other, {"reads": encode_record(b"failed")})),
            ("RECORD_MALFORMED", pipeline.send_raw(partition, {"writes": b"\x05\x05\x00abc"})),
            ("KEY_EMPTY", pipeline.send_raw(partition, {"writes": encode_record(b"", b"value")})),
            ("RECORD_FLAGS_UNSUPPORTED", pipeline.send_raw(partition, {"writes": encode_record(b"failed", b"2", 4)})),
            ("PARTITION_OUT_OF_RANGE", pipeline.send_raw(1000, {"reads": encode_record(b"failed")})),
            ("FRAME_MALFORMED", pipeline.send_raw(partition, {})),
        ]
        # The second record of a frame is refused: the first one is not applied.
        half = encode_records([(b"failed", b"3"), (b"", b"4")])
        bad.append(("KEY_EMPTY", pipeline.send_raw(partition, {"writes": half})))
        last = pipeline.read(b"failed")
        equal(first.result(), 1)
        for reason, answer in bad:
            assert fails_with(reason, answer.result).message, "an error says what is wrong"
        equal(last.result(), [b"1"])
        equal(pipeline.streams, 1)


def check_lineage(client):
    with client.pipeline() as pipeline:
        partition = partition_of(b"lineage", pipeline.partition_count)
        lineage = client.describe_store("default").partitions[partition].lineage
        writes = encode_record(b"lineage", b"1")
        equal(pipeline.send_raw(partition, {"writes": writes, "lineage": lineage}).result().written, 1)
        other = pipeline.send_raw(partition, {"writes": writes, "lineage": "another"})
        fails_with("STATE_REPLACED", other.result)


def check_operations(client):
    """Reads and writes of one frame happen in order; one that fails ends itself only."""
    with client.pipeline() as pipeline:
        a, b, empty, long = b"{o}a", b"{o}b", b"", bytes(65_536)
        results = pipeline.operate(a, (a, b"1"), a, (b, b"2"), (empty, b"3"), (a, b""), a, b, long, (b, b"4")).result()
        equal(results[:4], [None, None, b"1", None])
        equal(results[4].reason, "KEY_EMPTY")
        equal(results[5:8], [None, None, b"2"])
        equal(results[8].reason, "KEY_TOO_LARGE")
        equal(results[9], None)
        equal(pipeline.operate(b, a).result(), [b"4", None])
        fails_with("RECORD_MALFORMED", pipeline.send_raw(0, {"operations": b"\x05\x05\x00abc"}).result)
        # Values that no message would hold together: those that are missing are read again.
        large = [b"{o}%d" % index for index in range(4)]
        for key in large:
            pipeline.write((key, key * 600_000))
        results = pipeline.operate((a, b"5"), *large).result()[1:]
        equal(pipeline.read(a).result(), [b"5"])
        count = results.index(NOT_ANSWERED)
        equal(results, [key * 600_000 for key in large[:count]] + [NOT_ANSWERED] * (4 - count))
        assert count >= 1
        fails_with("MESSAGE_TOO_LARGE", pipeline.read(*large).result)


def check_scan(client):
    client.stub.Write(pb.WriteRequest(records=[pb.Record(key=b"{s}%d" % i, value=b"v%d" % i) for i in range(9)]))
    equal(sorted(client.scan(prefix=b"{s}")), [(b"{s}%d" % i, b"v%d" % i) for i in range(9)])
    equal(sorted(client.scan(start=b"{s}3", end=b"{s}6", keys_only=True)), [(b"{s}%d" % i, b"") for i in (3, 4, 5)])
    equal(len(list(client.scan(prefix=b"{s}", limit=4))), 4)


def check_versions(client):
    """A version gives state and metadata back, and what was written since is gone."""
    stub = client.stub
    stub.Set(pb.SetRequest(key=b"version", value=b"old"))
    made = stub.Snapshot(pb.SnapshotRequest(version=7, metadata=b"offset 42"))
    equal((made.version, made.complete), (7, True))
    fails_with("VERSION_NOT_ASCENDING", lambda: client.call("Snapshot", pb.SnapshotRequest(version=7)))
    stub.Set(pb.SetRequest(key=b"version", value=b"new"))
    back = stub.Restore(pb.RestoreRequest())
    equal((back.version, back.metadata), (7, b"offset 42"))
    equal(stub.Get(pb.GetRequest(key=b"version")).value, b"old")
    listed = stub.ListSnapshots(pb.ListSnapshotsRequest()).snapshots
    equal([(each.version, each.metadata) for each in listed], [(7, b"offset 42")])
    error = fails_with("SNAPSHOT_NOT_FOUND", lambda: client.call("Restore", pb.RestoreRequest(version=8)))
    equal(error.code, 5)


if __name__ == "__main__":
    main(*sys.argv[1:])
