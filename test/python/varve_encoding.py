"""Where a key lives, and the bytes inside frames: what proto/README.md says, and nothing else."""

from binascii import crc_hqx

SLOTS = 16384
READ = 0x80  # flag of a record in a frame of operations: a key to read


def slot_of(key):
    """The slot of a key: CRC16 (XMODEM) of the key, or of its hash tag."""
    start = key.find(b"{")
    end = key.find(b"}", start + 1)
    hashed = key[start + 1 : end] if 0 <= start and start + 1 < end else key
    return crc_hqx(hashed, 0) % SLOTS


def partition_of(key, partition_count):
    """The partition that owns the slot of a key."""
    return ((slot_of(key) + 1) * partition_count - 1) // SLOTS


def encode_uvarint(number):
    """Seven bits a byte, lowest first."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def decode_uvarint(encoded, offset):
    """The number at `offset` and the offset behind it."""
    number = shift = 0
    while True:
        byte = encoded[offset]
        offset += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, offset
        shift += 7


def encode_record(key, value=b"", flags=0):
    """One record; with an empty value it deletes the key, or is a key to read."""
    return encode_uvarint(len(key)) + encode_uvarint(len(value)) + bytes([flags]) + key + value


def encode_records(records):
    """Pairs of key and value, one record after the other."""
    return b"".join(encode_record(key, value) for key, value in records)


def encode_keys(keys):
    """Keys to read, as records without values."""
    return b"".join(encode_record(key) for key in keys)


def decode_values(encoded):
    """The values of an answer, None for a key that has none."""
    values = []
    offset = 0
    while offset < len(encoded):
        length, offset = decode_uvarint(encoded, offset)
        if offset + length > len(encoded):
            raise ValueError("the last value is cut off")
        values.append(encoded[offset : offset + length] or None)
        offset += length
    return values
