#!/usr/bin/env python3
"""Writes golden.txt: frames of the wire protocol, from the description in src/lib.rs alone.

Only the standard library is used and nothing of the crate, so the two check each other.
golden.rs holds the packets with the same names. Run as: python3 golden.py > golden.txt
"""
import struct


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


assert crc32c(b"123456789") == 0xE3069283


def cobs(data):
    out, run = bytearray(), bytearray()
    for at, byte in enumerate(data):
        if byte:
            run.append(byte)
        if byte == 0 or len(run) == 254:
            out += bytes([len(run) + 1]) + run
            run.clear()
            if byte and at == len(data) - 1:
                return bytes(out)
    return bytes(out + bytes([len(run) + 1]) + run)


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def signed(value):
    return varint(value << 1 if value >= 0 else (-value << 1) - 1)


def f32(*values):
    return b"".join(struct.pack("<f", v) for v in values)


def bits(*values):
    return b"".join(struct.pack("<I", v) for v in values)


def frame(stream, seq, t_dev_us, payload):
    body = struct.pack("<BBHQ", 1, stream, seq, t_dev_us) + payload
    return cobs(body + struct.pack("<I", crc32c(body))) + b"\0"


U64, U32 = (1 << 64) - 1, (1 << 32) - 1
raw = [(i * 37 - 400, 0, -1, 63, -64, 64) for i in range(3)]
FRAMES = {
    "hello": frame(0, 0, 0, b"\0" + bytes([1, 1, 0, 1, 0]) + bytes(range(12)) + varint(0xDEADBEEF)),
    "imu": frame(16, 1, 20_000, b"\x01" + varint(1) + varint(50_000) + varint(2)
                 + f32(0.0, -0.5, 9.80665, 0.25, -1e-3, 3.0) + bits(0x7FC00001, 0x80000000, 0x7F800000, 1, 0xFFC12345, 0)),
    "imu-full": frame(16, 0xFFFF, U64, b"\x01" + varint(U64) + varint(U32) + varint(16) + bits(*([0x41424344] * 96))),
    "imu-empty": frame(16, 2, 5, b"\x01" + varint(0) + varint(1) + varint(0)),
    "imu-raw": frame(17, 258, 1 << 40, b"\x02" + varint(300) + varint(416_000) + f32(0.0011971008, 0.0010652645)
                     + varint(3) + b"".join(signed(v) for row in raw for v in row)),
    "imu-raw-full": frame(17, 0, U64, b"\x02" + varint(U64) + varint(U32) + f32(1.0, 1.0)
                          + varint(24) + signed(-32768) * 72 + signed(32767) * 72),
    "status": frame(16, 3, 1_000_000, b"\x03" + varint(50) + varint(40) + varint(7) + varint(300)
                    + varint(1) + varint(0) + varint(128)),
    "log": frame(1, 4, 1_234_567, b"\x04" + varint(7) + b"a\0b\xff\0\0z"),
    "log-full": frame(1, 4, 1_234_567, b"\x04" + varint(256) + bytes([0x55] * 256)),
    "end": frame(16, 5, 2_000_000, b"\x05" + varint(1 << 35) + varint(16_384)),
}
for name, data in FRAMES.items():
    print(name, data.hex())
