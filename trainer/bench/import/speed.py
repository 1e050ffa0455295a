"""Packs of hub folders beside ONNX Runtime on the folders' own files: time to the first embedding and time
of each, one core, in turns.

    speed.py HUB PACKS PACK_SPEED [ROUNDS]

HUB is the folder of folders, PACKS that with NAME.pack of each (`sensorium-train import hub`), PACK_SPEED the
example of that name of sensorium-engine, built for release. Run it pinned to one core, which both sides then
share. ONNX Runtime gets one thread, and the same features or token numbers.
"""
import io
import json
import os
import pathlib
import statistics
import struct
import subprocess
import sys
import zipfile

import numpy as np

WORKER = """
import sys, time, numpy as np
import onnxruntime as ort
path, inputs = sys.argv[1], dict(np.load(sys.argv[2]))
options = ort.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
start = time.perf_counter()
session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
session.run(None, inputs)
print(f"{(time.perf_counter() - start) * 1e3:.3f}", flush=True)
for _ in sys.stdin:
    start = time.perf_counter()
    session.run(None, inputs)
    print(f"{(time.perf_counter() - start) * 1e3:.4f}", flush=True)
"""


def tensors(path):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    kinds = {"F32": np.float32, "I64": np.int64, "I32": np.int32}
    out = {}
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] in kinds:
            begin, end = entry["data_offsets"]
            values = np.frombuffer(data[8 + length + begin : 8 + length + end], kinds[entry["dtype"]])
            out[name] = values.reshape(entry["shape"])
    return out


def cases(hub, packs):
    """What is timed: a name, the file, its inputs, and what our side is called with."""
    import onnx

    for folder in sorted(path for path in hub.iterdir() if path.is_dir()):
        pack = packs / f"{folder.name}.pack"
        archive = zipfile.ZipFile(pack)
        manifest = json.loads(archive.read("manifest.json"))
        files = {"image": "vision_model", "audio": "audio_model", "text": "text_model"}
        where = lambda stem: next(
            path
            for path in [folder / "onnx" / f"{stem}.onnx", folder / "onnx/model.onnx", folder / "encoder.onnx"]
            if path.is_file()
        )
        for encoder in manifest["encoders"]:
            path = where(files.get(encoder["modality"], "model"))
            rows = np.load(io.BytesIO(archive.read(encoder["golden"]["input"])))
            graph = onnx.load(path, load_external_data=False).graph
            name = graph.input[0].name
            yield f"{folder.name}, {encoder['modality']}", path, {name: rows[:1]}, [pack, encoder["name"]]
        for space in manifest["spaces"]:
            if "tower" not in space:
                continue
            path = where("text_model")
            golden = tensors(folder / "golden" / "golden.safetensors")
            phrase = json.loads((folder / "golden" / "golden.json").read_text())["strings"][0]
            ids = golden["input_ids"][:1].astype(np.int64)
            mask = golden.get("attention_mask", np.ones_like(ids))[:1].astype(np.int64)
            if "pad" not in space["tower"].get("words", {}):
                ids, mask = ids[:, : mask.sum()], mask[:, : mask.sum()]
            all_inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
            names = [i.name for i in onnx.load(path, load_external_data=False).graph.input]
            inputs = {name: all_inputs[name] for name in names}
            yield f"{folder.name}, text", path, inputs, [pack, space["name"], phrase]


class Side:
    def __init__(self, command):
        self.process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.first = float(self.process.stdout.readline())

    def again(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def main(hub, packs, program, rounds=25, starts=5):
    os.environ.update(OMP_NUM_THREADS="1", RAYON_NUM_THREADS="1")
    print("| what | first, ours | first, ONNX Runtime | each, ours | each, ONNX Runtime |")
    print("|---|---|---|---|---|")
    scratch = packs / "speed_inputs.npz"
    for name, path, inputs, own in cases(hub, packs):
        np.savez(scratch, **inputs)
        commands = [[program, *own], [sys.executable, "-c", WORKER, path, scratch]]
        firsts, each = [[], []], [[], []]
        for start in range(starts):
            sides = [Side(command) for command in commands]
            for side, taken in zip(sides, firsts):
                taken.append(side.first)
            for _ in range(rounds if start == starts - 1 else 0):
                for side, taken in zip(sides, each):
                    taken.append(side.again())
            for side in sides:
                side.close()
        shown = [f"{min(t):.2f} ({statistics.median(t):.2f})" for t in firsts + each]
        print(f"| {name} | {' | '.join(shown)} |", flush=True)
    scratch.unlink()


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3], *(int(n) for n in sys.argv[4:]))
