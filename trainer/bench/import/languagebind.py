"""Folders as LanguageBind publishes them, of random weights with LoRA, and what they give by PyTorch.

    languagebind.py make OUT                     writes OUT/{depth,thermal,audio} and inputs
    languagebind.py check OUT PACK [SENSORIUM]   embeds the inputs by the program, and compares

The towers are CLIP's; the processors are those of the publication, but for parts of a long sound, which it
takes at random from each third and which here are the middle of each. Written from their formulas, by
nothing but PyTorch, so that the importer has something else to agree with.
"""
import json
import math
import pathlib
import subprocess
import sys
import tempfile
import wave

import numpy as np
import torch
import torch.nn.functional as F

WIDTH, BLOCKS, HEADS, OUT, PATCH, SIDE = 48, 3, 4, 32, 14, 56
TEXT, TEXT_BLOCKS, TEXT_HEADS = 24, 2, 3
MELS, FRAMES, RATE = 28, 84, 16000
RANK, ALPHA, EPS = 2, 16, 1e-5
MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073], dtype=torch.float64)
STD = torch.tensor([0.26862954, 0.26130258, 0.27577711], dtype=torch.float64)
WORDS = ["a dog"]
# Its ids by CLIP's byte pairs are 320 and 1929.
VOCABULARY, CONTEXT, START, END = 49408, 77, 49406, 49407


def blocks(weights, prefix, width, count, lora, generator):
    def random(*shape, scale=1.0):
        return torch.randn(*shape, generator=generator) * scale

    for index in range(count):
        layer = f"{prefix}.{index}"
        for norm in ("layer_norm1", "layer_norm2"):
            weights[f"{layer}.{norm}.weight"] = 1 + random(width, scale=0.1)
            weights[f"{layer}.{norm}.bias"] = random(width, scale=0.1)
        for kind in ("q_proj", "k_proj", "v_proj", "out_proj"):
            name = f"{layer}.self_attn.{kind}"
            # Both forms that peft has had.
            base = ".base_layer" if lora == "newer" else ""
            weights[f"{name}{base}.weight"] = random(width, width, scale=width**-0.5)
            weights[f"{name}{base}.bias"] = random(width, scale=0.1)
            if lora:
                weights[f"{name}.lora_A.default.weight"] = random(RANK, width, scale=0.2)
                weights[f"{name}.lora_B.default.weight"] = random(width, RANK, scale=0.1)
        weights[f"{layer}.mlp.fc1.weight"] = random(4 * width, width, scale=width**-0.5)
        weights[f"{layer}.mlp.fc1.bias"] = random(4 * width, scale=0.1)
        weights[f"{layer}.mlp.fc2.weight"] = random(width, 4 * width, scale=(4 * width) ** -0.5)
        weights[f"{layer}.mlp.fc2.bias"] = random(width, scale=0.1)


def norm_of(weights, name, x):
    w, b = weights[f"{name}.weight"], weights[f"{name}.bias"]
    return F.layer_norm(x, x.shape[-1:], w, b, EPS)


def linear(weights, name, x):
    base = name if f"{name}.weight" in weights else f"{name}.base_layer"
    y = F.linear(x, weights[f"{base}.weight"], weights[f"{base}.bias"])
    if f"{name}.lora_A.default.weight" in weights:
        down = F.linear(x, weights[f"{name}.lora_A.default.weight"])
        y = y + ALPHA / RANK * F.linear(down, weights[f"{name}.lora_B.default.weight"])
    return y


def run_blocks(weights, prefix, x, count, heads, mask=None):
    for index in range(count):
        layer = f"{prefix}.{index}"
        y = norm_of(weights, f"{layer}.layer_norm1", x)
        q, k, v = (linear(weights, f"{layer}.self_attn.{p}_proj", y) for p in "qkv")
        tokens, width = x.shape
        split = lambda t: t.reshape(tokens, heads, width // heads).transpose(0, 1)
        q, k, v = split(q), split(k), split(v)
        scores = q @ k.transpose(1, 2) / math.sqrt(width // heads)
        if mask is not None:
            scores = scores + mask
        y = (scores.softmax(-1) @ v).transpose(0, 1).reshape(tokens, width)
        x = x + linear(weights, f"{layer}.self_attn.out_proj", y)
        y = norm_of(weights, f"{layer}.layer_norm2", x)
        y = F.gelu(linear(weights, f"{layer}.mlp.fc1", y))
        x = x + linear(weights, f"{layer}.mlp.fc2", y)
    return x


def wrapped(lora):
    return "vision_model.encoder" + (".base_model.model" if lora else "") + ".layers"


def embed(weights, lora, pixels, grid):
    """Pixels [3, height, width], in 64 bits."""
    x = F.conv2d(pixels[None], weights["vision_model.embeddings.patch_embedding.weight"], stride=PATCH)
    x = x[0].flatten(1).T
    places = weights["vision_model.embeddings.position_embedding.weight"]
    if len(places) != grid[0] * grid[1] + 1:
        side = math.isqrt(len(places) - 1)
        square = places[1:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
        square = F.interpolate(square, size=grid, mode="bicubic", antialias=True, align_corners=False)
        square = square.permute(0, 2, 3, 1).reshape(grid[0] * grid[1], -1)
        places = torch.cat([places[:1], square])
    x = torch.cat([weights["vision_model.embeddings.class_embedding"][None], x]) + places
    x = norm_of(weights, "vision_model.pre_layrnorm", x)
    x = run_blocks(weights, wrapped(lora), x, BLOCKS, HEADS)
    x = norm_of(weights, "vision_model.post_layernorm", x[0])
    return F.normalize(weights["visual_projection.weight"] @ x, dim=0)


def words(weights, ids):
    x = weights["text_model.embeddings.token_embedding.weight"][ids]
    x = x + weights["text_model.embeddings.position_embedding.weight"]
    mask = torch.full((CONTEXT, CONTEXT), float("-inf"), dtype=torch.float64).triu(1)
    x = run_blocks(weights, "text_model.encoder.layers", x, TEXT_BLOCKS, TEXT_HEADS, mask)
    x = norm_of(weights, "text_model.final_layer_norm", x[ids.argmax()])
    return F.normalize(weights["text_projection.weight"] @ x, dim=0)


def pixels_of(plane):
    """[height, width] of 0 to 1 to three channels, resized, cropped and normalised."""
    height, width = plane.shape
    size = (SIDE, int(SIDE * width / height)) if height < width else (int(SIDE * height / width), SIDE)
    plane = F.interpolate(plane[None, None], size=size, mode="bicubic", antialias=True, align_corners=False)
    top, left = (int(round((full - SIDE) / 2.0)) for full in size)
    plane = plane[0, :, top : top + SIDE, left : left + SIDE].repeat(3, 1, 1)
    return (plane - MEAN[:, None, None]) / STD[:, None, None]


def fbank(samples):
    """Kaldi's, as torchaudio calls it: symmetric Hann, no dither, no energy."""
    window, hop, fft = RATE // 40, RATE // 100, 512
    count = (len(samples) - window) // hop + 1
    frames = torch.stack([samples[i * hop : i * hop + window] for i in range(count)])
    frames = frames - frames.mean(1, keepdim=True)
    frames = frames - 0.97 * torch.cat([frames[:, :1], frames[:, :-1]], 1)
    frames = frames * torch.hann_window(window, periodic=False, dtype=torch.float64)
    power = torch.fft.rfft(frames, fft).abs() ** 2
    mel = lambda hz: 1127 * math.log(1 + hz / 700)
    low, high = mel(20), mel(RATE / 2)
    step = (high - low) / (MELS + 1)
    bins = torch.tensor([mel(b * RATE / fft) for b in range(fft // 2)], dtype=torch.float64)
    bank = []
    for m in range(MELS):
        left, centre, right = (low + (m + k) * step for k in range(3))
        up, down = (bins - left) / (centre - left), (right - bins) / (right - centre)
        bank.append(torch.minimum(up, down).clamp(min=0))
    energies = power[:, : fft // 2] @ torch.stack(bank).T
    return energies.clamp(min=1.1920929e-07).log()


def sound(samples):
    mel = fbank(samples - samples.mean())
    if len(mel) > FRAMES:
        thirds = np.array_split(np.arange(len(mel) - FRAMES + 1), 3)
        starts = [int(third[len(third) // 2]) if len(third) else 0 for third in thirds]
        parts = [mel[start : start + FRAMES] for start in starts]
    else:
        times = FRAMES // len(mel) + 1
        parts = [mel.repeat(times, 1)[:FRAMES]] * 3
    return (torch.stack(parts).transpose(1, 2) + 4.2677393) / (2 * 4.5689974)


def write_wave(path, samples):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return torch.tensor((samples * 32767).astype("<i2").astype(np.float64) / 32768)


def make(out):
    generator = torch.Generator().manual_seed(7)
    text = {"logit_scale": torch.tensor(math.log(1 / 0.07))}
    random = lambda *shape, scale: torch.randn(*shape, generator=generator) * scale
    text["text_model.embeddings.token_embedding.weight"] = random(VOCABULARY, TEXT, scale=0.5)
    text["text_model.embeddings.position_embedding.weight"] = random(CONTEXT, TEXT, scale=0.2)
    blocks(text, "text_model.encoder.layers", TEXT, TEXT_BLOCKS, None, generator)
    text["text_model.final_layer_norm.weight"] = 1 + random(TEXT, scale=0.1)
    text["text_model.final_layer_norm.bias"] = random(TEXT, scale=0.1)
    text["text_projection.weight"] = random(OUT, TEXT, scale=0.3)
    inputs = out / "inputs"
    inputs.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(3)
    depths, thermals, waves = [], [], []
    for index, (height, width) in enumerate([(90, 120), (56, 56), (70, 61)]):
        y, x = np.mgrid[:height, :width]
        depth = (2500 + 2000 * np.sin(x / 9 + index) * np.cos(y / 7)).astype(np.uint16)
        depth[rng.random(depth.shape) < 0.05] = 0
        depth[: 1 + index] = 14000
        np.save(inputs / f"depth{index}.npy", depth)
        depths.append(depth)
        thermal = (120 + 100 * np.sin(x / 11 + y / 5 + index)).astype(np.uint8)
        np.save(inputs / f"thermal{index}.npy", thermal)
        thermals.append(thermal)
    for index, seconds in enumerate([0.3, 0.855, 4.1]):
        t = np.arange(int(seconds * RATE)) / RATE
        samples = 0.3 * np.sin(2 * np.pi * (200 + 300 * index + 150 * t) * t) + 0.05 * rng.standard_normal(len(t))
        waves.append(write_wave(inputs / f"audio{index}.wav", samples))
    names = {"depth": "Depth", "thermal": "Thermal", "audio": "Audio"}
    for sense, lora in [("depth", "older"), ("thermal", "newer"), ("audio", "older")]:
        weights = dict(text)
        weights["vision_model.embeddings.class_embedding"] = random(WIDTH, scale=0.5)
        weights["vision_model.embeddings.patch_embedding.weight"] = random(WIDTH, 3, PATCH, PATCH, scale=0.05)
        side = SIDE // PATCH
        weights["vision_model.embeddings.position_embedding.weight"] = random(side * side + 1, WIDTH, scale=0.3)
        for norm in ("pre_layrnorm", "post_layernorm"):
            weights[f"vision_model.{norm}.weight"] = 1 + random(WIDTH, scale=0.1)
            weights[f"vision_model.{norm}.bias"] = random(WIDTH, scale=0.1)
        blocks(weights, wrapped(lora), WIDTH, BLOCKS, lora, generator)
        weights["visual_projection.weight"] = random(OUT, WIDTH, scale=0.3)
        folder = out / sense
        folder.mkdir(exist_ok=True)
        torch.save(weights, folder / "pytorch_model.bin")
        vision = {
            "hidden_size": WIDTH, "num_hidden_layers": BLOCKS, "num_attention_heads": HEADS,
            "image_size": SIDE, "patch_size": PATCH, "hidden_act": "gelu", "layer_norm_eps": EPS,
            "lora_r": RANK, "lora_alpha": ALPHA, "add_time_attn": False, "num_frames": 1,
            "force_patch_dropout": 0.5, "max_depth": 10, "num_mel_bins": MELS, "target_length": FRAMES,
            "audio_sample_rate": RATE, "audio_mean": -4.2677393, "audio_std": 4.5689974,
        }
        config = {
            "model_type": f"LanguageBind{names[sense]}", "projection_dim": OUT,
            "vision_config": vision,
            "text_config": {
                "hidden_size": TEXT, "num_hidden_layers": TEXT_BLOCKS, "num_attention_heads": TEXT_HEADS,
                "hidden_act": "gelu", "layer_norm_eps": EPS, "vocab_size": VOCABULARY,
                "max_position_embeddings": CONTEXT,
            },
        }
        (folder / "config.json").write_text(json.dumps(config, indent=1))
        exact = {name: value.double() for name, value in weights.items()}
        if sense == "depth":
            metres = [torch.tensor(d.astype(np.float64)) / 1000 for d in depths]
            planes = [pixels_of(m.clamp(0.01, 10) / 10) for m in metres]
        elif sense == "thermal":
            planes = [pixels_of(torch.tensor(t.astype(np.float64)) / 255) for t in thermals]
        else:
            planes = [sound(wave) for wave in waves]
        grid = [MELS // PATCH, FRAMES // PATCH] if sense == "audio" else [side, side]
        rows = torch.stack([embed(exact, lora, plane, grid) for plane in planes])
        np.save(out / f"{sense}_expected.npy", rows.float().numpy())
    ids = torch.zeros(CONTEXT, dtype=torch.int64)
    ids[:4] = torch.tensor([START, 320, 1929, END])
    exact = {name: value.double() for name, value in text.items()}
    np.save(out / "text_expected.npy", words(exact, ids)[None].float().numpy())


def check(out, pack, program):
    for sense, files, more in [
        ("depth", [f"depth{i}.npy" for i in range(3)], []),
        ("thermal", [f"thermal{i}.npy" for i in range(3)], []),
        ("audio", [f"audio{i}.wav" for i in range(3)], []),
        ("text", [], ["--text", WORDS[0]]),
    ]:
        with tempfile.TemporaryDirectory() as folder:
            rows = pathlib.Path(folder) / "rows.npy"
            paths = [str(out / "inputs" / file) for file in files]
            command = [program, "embed", "--pack", pack, "--modality", sense, *paths, *more, "--out", str(rows)]
            subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
            actual, expected = np.load(rows), np.load(out / f"{sense}_expected.npy")
        off = np.abs(actual - expected).max()
        cosine = (actual * expected).sum(1).min()
        print(f"{sense}: {len(actual)} rows, at most {off:.1e} off, cosine at least {cosine:.7f}")


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(pathlib.Path(sys.argv[2]))
    else:
        check(pathlib.Path(sys.argv[2]), sys.argv[3], *(sys.argv[4:] or ["sensorium"]))
