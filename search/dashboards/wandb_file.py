"""The file of an offline run of W&B: a log in LevelDB's format of Protocol Buffers.

https://github.com/google/leveldb/blob/main/doc/log_format.md
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from wandb.proto.wandb_internal_pb2 import Record

FILE_HEADER = 7  # bytes: ":W&B", a magic number and a version
BLOCK = 32768
RECORD_HEADER = struct.Struct("<IHB")  # checksum, length, kind
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def records_of(path: Path) -> Iterator[Record]:
    """The records of a file, without a last one that is cut short."""
    raw, position, parts = path.read_bytes(), FILE_HEADER, []
    while position + RECORD_HEADER.size <= len(raw):
        left = BLOCK - position % BLOCK
        if left < RECORD_HEADER.size:  # the rest of a block is padding
            position += left
            continue
        _, length, kind = RECORD_HEADER.unpack_from(raw, position)
        position += RECORD_HEADER.size
        data = raw[position : position + length]
        if len(data) < length or kind not in (FULL, FIRST, MIDDLE, LAST):
            return
        position += length
        parts = [data] if kind in (FULL, FIRST) else [*parts, data]
        if kind in (FULL, LAST):
            yield Record.FromString(b"".join(parts))


def steps_of(path: Path) -> set[int]:
    """The steps that a run has logged."""
    found = set()
    for record in records_of(path):
        if record.WhichOneof("record_type") == "history":
            found.add(record.history.step.num)
    return found
