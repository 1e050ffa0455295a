"""Makes the small files that the tests decode and what they hold, as the usual decoders say.

    pip install numpy==2.* pillow==13.0.0 soundfile==0.14.*   # the versions it was last run with
    python golden.py
"""

import numpy as np
import soundfile
from PIL import Image

# A tone of 1 kHz, which grows, for 50 ms.
rate = 8000
time = np.arange(rate // 20) / rate
tone = (0.5 * time / time[-1] * np.sin(2 * np.pi * 1000 * time)).astype(np.float32)
soundfile.write("tone.ogg", tone, rate, format="OGG", subtype="VORBIS")
decoded, _ = soundfile.read("tone.ogg", dtype="float32")
decoded.astype("<f4").tofile("tone.f32")

soundfile.write("tone.flac", np.stack([tone, -tone], axis=1), rate, subtype="PCM_16")

# Two ramps, across and down, and their sum: smooth, so that decoders differ by rounding only.
y, x = np.mgrid[0:16, 0:24]
colours = np.stack([x * 8, y * 12, x * 4 + y * 6], axis=2).astype(np.uint8)
Image.fromarray(colours).save("ramp.jpg", quality=90)
Image.fromarray(colours).save("ramp-progressive.jpg", quality=90, progressive=True)
Image.fromarray(colours[:, :, 2]).save("grey.jpg", quality=90)
np.asarray(Image.open("ramp.jpg").convert("RGB")).tofile("ramp.rgb")
np.asarray(Image.open("grey.jpg")).tofile("grey.u8")
