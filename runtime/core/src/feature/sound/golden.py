"""Writes golden.json: log-mel spectrograms by a second implementation (Python, NumPy, 64 bits).

Usage: python3 golden.py > golden.json
Each case is a front end as a manifest has it, a number of samples, and the values, row-major. The
sound is that of `tests.rs`.
"""

import json

import numpy as np


def sound(n):
    n = np.arange(n)
    sound = ((n * n * 37 + n * 11) % 1000 / 500.0 - 1.0) * (1.0 - n / 1000.0) + 0.25
    return sound.astype(np.float32).astype(np.float64)


def mel(hz, scale):
    if scale == "kaldi":
        return 1127.0 * np.log(1.0 + hz / 700.0)
    if scale == "htk":
        return 2595.0 * np.log10(1.0 + hz / 700.0)
    bent = 15.0 + np.log(np.maximum(hz, 1000.0) / 1000.0) * 27.0 / np.log(6.4)
    return np.where(hz < 1000.0, 3.0 * hz / 200.0, bent)


def filters(s):
    scale, bins = s["mel_scale"], np.arange(s["fft"] // 2 + 1) * s["rate_hz"] / s["fft"]
    edges = np.linspace(mel(np.float64(s["f_min_hz"]), scale), mel(np.float64(s["f_max_hz"]), scale), s["mels"] + 2)
    grid = np.linspace(0, s["rate_hz"] / 2, 2_000_001)
    edges_hz = np.interp(edges, mel(grid, scale), grid)
    at, edge = (mel(bins, scale), edges) if scale == "kaldi" else (bins, edges_hz)
    left, peak, right = edge[:-2, None], edge[1:-1, None], edge[2:, None]
    bank = np.maximum(0.0, np.minimum((at - left) / (peak - left), (right - at) / (right - peak)))
    if s.get("mel_norm") == "slaney":
        bank *= (2.0 / (edges_hz[2:] - edges_hz[:-2]))[:, None]
    return bank


def window(s):
    n, kind = s["window"], s["window_kind"]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / (n if kind == "hann-periodic" else n - 1))
    return {"hamming": 0.08 + 0.92 * hann, "povey": hann**0.85}.get(kind, hann)


def log_mel(s, n):
    x, clip = sound(n), round(s["clip_s"] * s["rate_hz"])
    x = x[:clip]
    if "clip" in s.get("remove_mean", []):
        x = x - np.float32(x.mean())
        x = x.astype(np.float32).astype(np.float64)
    missing = clip - len(x)
    if s.get("padding") == "zero":
        x = np.pad(x, (0, missing))
    elif s.get("padding") == "repeat":
        x = np.tile(x, clip // len(x) + 1)[:clip]
    elif s.get("padding") == "repeat-pad":
        x = np.tile(x, clip // len(x))
        x = np.pad(x, (0, clip - len(x)))
    emphasis = s.get("pre_emphasis", 0.0)
    if s.get("pre_emphasis_of") == "clip":
        x = x[1:] - emphasis * x[:-1]
        emphasis = 0.0
    if s.get("centred"):
        x = np.pad(x, s["fft"] // 2, mode="reflect")
        inset = (s["fft"] - s["window"]) // 2
        starts = range(inset, len(x) - s["fft"] + inset + 1, s["hop"])
    else:
        starts = range(0, len(x) - s["window"] + 1, s["hop"])
    rows = []
    for start in starts:
        frame = x[start : start + s["window"]]
        if "frame" in s.get("remove_mean", []):
            frame = frame - frame.mean()
        frame = frame - emphasis * np.concatenate([frame[:1], frame[:-1]])
        magnitude = np.abs(np.fft.rfft(frame * window(s), s["fft"]))
        rows.append(filters(s) @ (magnitude if s.get("spectrum") == "magnitude" else magnitude**2))
    energy = np.array(rows[: s["frames"]])
    energy = np.maximum(energy, s["log_floor"]) if "log_floor" in s else energy + s["log_offset"]
    decibels = 20.0 if s.get("spectrum") == "magnitude" else 10.0
    value = {"ln": np.log(energy), "log10": np.log10(energy), "db": decibels * np.log10(energy)}[s["log"]]
    if "log_range" in s:
        value = np.maximum(value, value.max() - s["log_range"])
    value = np.pad(value, ((0, s["frames"] - len(value)), (0, 0)))
    value = (value + s["offset"]) / s["scale"]
    return value if s.get("axes") in ("channel-frame-mel", "frame-mel") else value.T


KALDI = dict(kind="log-mel", rate_hz=16000, fft=512, window=400, hop=160, f_min_hz=20, f_max_hz=8000, mel_scale="kaldi",
             remove_mean=["clip", "frame"], pre_emphasis=0.97, window_kind="hann", log="ln", log_floor=1.1920929e-7)
SLANEY = dict(kind="log-mel", rate_hz=16000, fft=256, window=256, hop=100, f_min_hz=50, f_max_hz=7000, mel_scale="slaney",
              mel_norm="slaney", centred=True, window_kind="hann-periodic", offset=0, scale=1)
CASES = [
    (dict(KALDI, clip_s=0.035, mels=128, frames=3, offset=4.268, scale=9.138), 560),
    (dict(KALDI, clip_s=0.05, mels=6, frames=4, remove_mean=["frame"], window_kind="povey", padding="repeat",
          offset=0, scale=2, axes="frame-mel"), 450),
    # As the tagger mn04: centred frames shorter than the transform, emphasis over the clip.
    (dict(kind="log-mel", rate_hz=32000, clip_s=0.02, fft=512, window=400, window_kind="hann", hop=160, centred=True,
          pre_emphasis=0.97, pre_emphasis_of="clip", mels=7, f_min_hz=0, f_max_hz=15000, mel_scale="kaldi", log="ln",
          log_offset=1e-5, frames=4, offset=4.5, scale=5), 640),
    # As CLAP's extractor.
    (dict(SLANEY, clip_s=0.06, mels=8, frames=10, padding="repeat-pad", log="db", log_floor=1e-10,
          axes="channel-frame-mel"), 400),
    # As Whisper's.
    (dict(SLANEY, clip_s=0.05, mels=8, frames=8, padding="zero", log="log10", log_floor=1e-10, log_range=2, offset=4,
          scale=4, axes="mel-frame"), 300),
    (dict(SLANEY, clip_s=0.05, mels=5, frames=3, mel_scale="htk", mel_norm="none", window_kind="hamming",
          spectrum="magnitude", log="db", log_floor=1e-5), 500),
    # The sound is shorter than the mirror reaches.
    (dict(SLANEY, clip_s=0.05, mels=4, frames=2, log="ln", log_offset=1e-3), 60),
]

cases = [dict(front_end=s, samples=n, values=[round(float(v), 6) for v in log_mel(s, n).ravel()]) for s, n in CASES]
print("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]")
