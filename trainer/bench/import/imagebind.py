"""A checkpoint at the dimensions of ImageBind's audio, depth, thermal and inertial encoders, with weights
of a portable generator, and what its encoders give by the reference in 64 bits.

    imagebind.py VECTORS OUT
    imagebind.py whole KEYS OUT

VECTORS is a folder with `realdims.json` (seed, and base and scale of every array) and
`realdims_expected.safetensors`; OUT gets `realdims.safetensors`, 0.86 GB, and NAME_input.npy and
NAME_expected.npy of each sense. With `whole`, KEYS is a table of the published checkpoint's keys and shapes,
and OUT/whole.safetensors, 4.8 GB, has all six encoders, without expected values. See README.md.
"""
import json
import pathlib
import struct
import sys

import numpy as np

GAMMA = np.uint64(0x9E3779B97F4A7C15)


def fill(seed, key, base, scale, shape):
    """SplitMix64 from the FNV-1a hash of the key."""
    state = 0xCBF29CE484222325
    for byte in key.encode():
        state = (state ^ byte) * 0x100000001B3 % 2**64
    count = int(np.prod(shape, dtype=np.int64))
    with np.errstate(over="ignore"):
        z = np.arange(1, count + 1, dtype=np.uint64) * GAMMA + np.uint64(state ^ seed)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    x = ((z >> np.uint64(40)).astype(np.float64) - 2**23) / 2**23
    return (base + scale * x).astype(np.float32).reshape(shape)


def read(path):
    """Arrays of a safetensors file, all of 32-bit floats."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    arrays = {}
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            begin, end = entry["data_offsets"]
            values = np.frombuffer(data[8 + length + begin : 8 + length + end], np.float32)
            arrays[name] = values.reshape(entry["shape"])
    return arrays


def write(path, arrays):
    """A safetensors file of arrays that are made one by one."""
    header, offset = {}, 0
    for key, shape, _ in arrays:
        size = 4 * int(np.prod(shape, dtype=np.int64))
        header[key] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    header = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        for _, _, made in arrays:
            file.write(made().tobytes())


def whole(keys, out):
    rows = (line.split("\t") for line in keys.read_text().splitlines())

    def of(key, shape):
        if key.endswith("log_logit_scale"):
            return np.float32(np.log(20.0))
        if key.endswith("text.mask"):
            return np.triu(np.full(shape, -np.inf, np.float32), 1)
        norm = key.endswith("weight") and len(shape) == 1
        return fill(1, key, float(norm), 0.05 if norm else 0.03, shape)

    shapes = [(key, json.loads(shape)) for key, shape, _ in rows]
    write(out / "whole.safetensors", [(k, s, lambda k=k, s=s: of(k, s)) for k, s in shapes])


def main(vectors, out):
    settings = json.loads((vectors / "realdims.json").read_text())
    seed = int(settings["seed_hex"], 16)
    listed = [(t["key"], t["base"], t["scale"], t["shape"]) for t in settings["tensors"]]
    scales = {
        f"modality_postprocessors.{sense}.1.log_logit_scale": np.log(np.float64(scale))
        for sense, scale in settings["log_logit_scale"].items()
    }
    arrays = [(key, shape, lambda k=key, b=base, s=scale, d=shape: fill(seed, k, b, s, d))
              for key, base, scale, shape in listed]
    arrays += [(key, [], lambda v=value: np.float32(v)) for key, value in scales.items()]
    write(out / "realdims.safetensors", arrays)
    expected = read(vectors / "realdims_expected.safetensors")
    for sense, formula in settings["inputs"].items():
        values = fill(seed, formula["key"], formula["base"], formula["scale"], formula["shape"])
        np.save(out / f"{sense}_input.npy", values.reshape(len(values), -1))
        np.save(out / f"{sense}_expected.npy", expected[f"{sense}.out"])


if __name__ == "__main__":
    made, (source, target) = main, sys.argv[-2:]
    if sys.argv[1] == "whole":
        made = whole
    made(pathlib.Path(source), pathlib.Path(target))
