"""Writes golden.txt: log-mel energies by a second implementation, in float64 (Python, NumPy).

Usage: python3 golden.py > golden.txt
One line a frame: 128 numbers. The sound is that of `tests.rs`: two frames, one hop apart.
"""

import numpy as np

FRAME, HOP, FFT, FILTERS, RATE_HZ, LOW_HZ = 400, 160, 512, 128, 16000.0, 20.0


def mel(hz):
    return 1127.0 * np.log(1.0 + hz / 700.0)


n = np.arange(FRAME + HOP)
sound = ((n * n * 37 + n * 11) % 1000 / 500.0 - 1.0) * (1.0 - n / 1000.0) + 0.25
sound = sound.astype(np.float32).astype(np.float64)

edges = np.linspace(mel(LOW_HZ), mel(RATE_HZ / 2), FILTERS + 2)
left, peak, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
at = mel(np.arange(FFT // 2) * RATE_HZ / FFT)[None]
bank = np.maximum(0.0, np.minimum((at - left) / (peak - left), (right - at) / (right - peak)))
hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME) / (FRAME - 1))

for start in (0, HOP):
    frame = sound[start : start + FRAME]
    frame = frame - frame.mean()
    frame = frame - 0.97 * np.concatenate([frame[:1], frame[:-1]])
    power = np.abs(np.fft.rfft(frame * hann, FFT)[: FFT // 2]) ** 2
    energy = np.maximum(bank @ power, np.finfo(np.float32).eps)
    print(" ".join(f"{value:.6f}" for value in np.log(energy)))
