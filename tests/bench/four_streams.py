"""Four live streams at once: what they cost, how late their events are, and whether their books are exact.

    four_streams.py SENSORIUM HOST_SIM --data DIR [--seconds 120] [--hop 0.5] [--cores N] [--speed N]
    four_streams.py SENSORIUM HOST_SIM --data DIR --soak HOURS

SENSORIUM is the program, HOST_SIM the simulated node (`sensorium-host-sim`), both built for release. DIR holds
imu/streams/*.csv, audio/instruments/*.wav, thermal/array16/data.npz and utd_mhad/depth.npz. A node at 50 Hz on
a pty, sound of 16 kHz, thermal frames of 16 x 16 at 8 Hz and depth frames of 80 x 60 at 10 Hz in FIFOs are
played in real time, or SPEED times as fast as the streams are said to be. --cores is the program's own: too few
of them are another way to overload it. What is printed:

hop          asked, and got: the time that was played over the windows that were scored
% of a core  processor time of a sense's windows (sensorium_processor_seconds_total) over time, both between
             5 s after the beginning and the end; of the whole program by /proc
late         milliseconds from when the last sample of a window was taken until the line that it caused was
             read: of lines of starts and updates, which tell how far the event reaches, half a hop beyond the
             middle of the window (t_end_ns). Thresholds are so low that nearly each window has a line, and
             the first of each counts. At a speed other than 1 the times of events mean nothing, and it is how
             old the last sample of the newest scored window is whenever one looks, ten times a second.
missed       windows that the samples taken make up, less those scored, left out to keep to the budget, or
             withheld while the sensor was degraded

With --soak, sources wait instead of dropping (`--clock sample`) and are played as fast as they are taken; memory is
looked at once a second.
"""
import argparse
import glob
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import wave

import numpy as np

SENSES = ("imu", "audio", "thermal", "depth")
RATE_HZ = {"imu": 50, "audio": 16000, "thermal": 8, "depth": 10}
# What is not counted, in seconds.
WARM_UP_S = 5.0
# A write of sound, in samples.
SOUND_LEN = 320


def content(data):
    """Bytes of each stream and of one write, played again from the beginning at their end."""
    sounds = []
    for path in sorted(glob.glob(str(data / "audio/instruments/*.wav"))):
        with wave.open(path) as file:
            assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16000, 1, 2)
            sounds.append(np.frombuffer(file.readframes(file.getnframes()), "<i2"))
    # Some are clipped, and a microphone that is has its events withheld.
    quieter = (np.concatenate(sounds) * 0.7).astype("<i2")
    celsius = np.load(data / "thermal/array16/data.npz")["data"].astype("<f4") / 6 + 10
    millimetres = np.load(data / "utd_mhad/depth.npz")["depth"].astype("<u2") * 20
    sizes = {"audio": 2 * SOUND_LEN, "thermal": celsius[0].nbytes, "depth": millimetres[0].nbytes}
    whole = {"audio": quieter.tobytes(), "thermal": celsius.tobytes(), "depth": millimetres.tobytes()}
    return {sense: (whole[sense], sizes[sense]) for sense in sizes}


def write_recording(data, path, samples):
    """So many inertial samples, of recordings one after the other, again and again."""
    rows = []
    for recording in sorted(glob.glob(str(data / "imu/streams/*.csv"))):
        header, *more = pathlib.Path(recording).read_text().splitlines()
        rows += more
    with open(path, "w") as file:
        file.write(header + "\n")
        for at in range(0, samples, len(rows)):
            file.write("\n".join(rows[: samples - at]) + "\n")
    return path


def configuration(folder, hop_s, ends):
    def stream(name, source):
        keys = f"name = '{name}'\nmodality = '{name}'\nhop_s = {hop_s}\nsource = {source}\n"
        return f"[[stream]]\n{keys}" + ("retry_s = 0.0\n" if ends else "")

    frames = "{{ kind = 'raw-frames', path = '{}', rate_hz = {}, width = {}, height = {}, pixel = '{}' }}"
    return "\n".join(
        [
            # Such that nearly every window has a line.
            "http = '127.0.0.1:0'\n[events]\nmedian_windows = 1\nenter = 0.2\nexit = 0.1\n"
            "min_duration_s = 0.0\nupdate_every_s = 0.1\nmerge_within_s = 0.0\n",
            stream("imu", f"{{ kind = 'serial', port = '{folder}/node' }}"),
            stream("audio", f"{{ kind = 'pcm', path = '{folder}/audio', rate_hz = {RATE_HZ['audio']} }}"),
            stream("thermal", frames.format(f"{folder}/thermal", RATE_HZ["thermal"], 16, 16, "f32")),
            stream("depth", frames.format(f"{folder}/depth", RATE_HZ["depth"], 80, 60, "u16")),
        ]
    )


class Player(threading.Thread):
    """Writes a stream to its FIFO as it would be measured, until it is stopped, or `most` seconds of it as
    fast as they are taken."""

    def __init__(self, path, sense, whole, size, speed, most=None):
        super().__init__(daemon=True)
        self.path, self.whole, self.size = path, whole, size
        self.rate_hz, self.most = RATE_HZ[sense], most
        samples = SOUND_LEN if sense == "audio" else 1
        self.period_s = samples / RATE_HZ[sense] / speed
        self.began = None
        self.worst_s = 0.0
        self.stop = threading.Event()

    def run(self):
        # Nothing is written before its time: the first write ends with the first sample.
        with open(self.path, "wb", buffering=0) as pipe:
            self.began = time.time()
            if self.most:
                return self.pour(pipe)
            count = len(self.whole) // self.size
            written = 0
            while not self.stop.is_set():
                wait = self.began + (written + 1) * self.period_s - time.time()
                if wait > 0:
                    time.sleep(wait)
                else:
                    self.worst_s = max(self.worst_s, -wait)
                at = written % count * self.size
                try:
                    pipe.write(self.whole[at : at + self.size])
                except BrokenPipeError:
                    return
                written += 1

    def pour(self, pipe):
        left = round(self.most / self.period_s) * self.size
        while left > 0:
            part = memoryview(self.whole)[: min(left, len(self.whole) // self.size * self.size)]
            left -= len(part)
            while part:
                part = part[pipe.write(part[: 1 << 16]) :]


class Program:
    """The program while it runs, with what it prints and says."""

    def __init__(self, command):
        self.child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines, self.said = [], []
        self.readers = [
            threading.Thread(target=self.read, args=(self.child.stdout, self.lines), daemon=True),
            threading.Thread(target=self.read, args=(self.child.stderr, self.said), daemon=True),
        ]
        for reader in self.readers:
            reader.start()

    @staticmethod
    def read(pipe, into):
        for line in pipe:
            into.append((time.time_ns(), line.rstrip("\n")))

    def wait_for(self, pattern):
        for _ in range(600):
            for _, line in list(self.said):
                if match := re.search(pattern, line):
                    return match
            if self.child.poll() is not None:
                break
            time.sleep(0.1)
        sys.exit("\n".join(line for _, line in self.said))

    def processor_s(self):
        fields = pathlib.Path(f"/proc/{self.child.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self, key):
        status = pathlib.Path(f"/proc/{self.child.pid}/status").read_text()
        return int(re.search(rf"{key}:\s+(\d+) kB", status)[1]) * 1024 / 1e6

    def finish(self):
        self.child.send_signal(signal.SIGINT)
        self.wait()

    def wait(self):
        self.child.wait(30)
        for reader in self.readers:
            reader.join()


def get(address, path):
    with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
        return answer.read().decode()


def metrics(address):
    pattern = re.compile(r'(\w+)\{stream="(\w+)"(?:,(?:fate|class)="([^"]*)")?\} (\S+)')
    return {match[:3]: float(match[3]) for match in pattern.findall(get(address, "/metrics"))}


def hops_told(said):
    """By stream, when its hop became another, and what it became."""
    told = {sense: [] for sense in SENSES}
    for at, line in said:
        if match := re.match(r"sensorium: (\w+): a window every (\S+) s, to keep", line):
            told[match[1]].append((at, float(match[2])))
    return told


def lateness_of_lines(lines, streams, from_ns, told):
    """By stream, milliseconds."""
    late, seen = {sense: [] for sense in SENSES}, set()
    for read_ns, line in lines:
        event = json.loads(line)
        window = (event["stream"], event["t_end_ns"])
        if read_ns < from_ns or event["phase"] == "end" or window in seen:
            continue
        seen.add(window)
        stream = streams[event["stream"]]
        hop_s = ([stream["hop_s"]] + [hop_s for at, hop_s in told[event["stream"]] if at <= read_ns])[-1]
        beyond_s = (stream["window_s"] - hop_s) / 2 - 1 / stream["rate_hz"]
        late[event["stream"]].append((read_ns - event["t_end_ns"]) / 1e6 - 1e3 * beyond_s)
    return late


def spread(values, name):
    if not values:
        return f"{name}: no line"
    p50, p95, p99 = np.percentile(values, [50, 95, 99])
    return f"{name}: p50 {p50:.0f}, p95 {p95:.0f}, p99 {p99:.0f}, most {max(values):.0f} ms of {len(values)}"


def windows_of(samples, stream):
    """How many windows so many samples make up."""
    length = round(stream["window_s"] * stream["rate_hz"])
    hop = min(max(int(stream["asked_s"] * stream["rate_hz"] + 0.5), 1), length)
    return max(0, (samples - length) // hop + 1)


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("sensorium")
    args.add_argument("host_sim")
    args.add_argument("--data", type=pathlib.Path, required=True)
    args.add_argument("--seconds", type=float, default=120.0)
    args.add_argument("--hop", type=float, default=0.5)
    args.add_argument("--cores", type=float)
    args.add_argument("--soak", type=float, metavar="HOURS", help="so many hours, as fast as the machine goes")
    args.add_argument("--speed", type=float, default=1.0)
    args.add_argument("--lines", help="write the lines here, each after the time at which it was read")
    args.add_argument("--perf", help="write a profile of the program here, with `perf record`")
    args = args.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        players = []
        for sense, (whole, size) in content(args.data).items():
            os.mkfifo(folder / sense)
            most = args.soak and args.soak * 3600
            players.append(Player(folder / sense, sense, whole, size, args.speed, most))
        (folder / "run.toml").write_text(configuration(folder, args.hop, args.soak))
        seconds = args.soak * 3600 if args.soak else (args.seconds + 60) * args.speed
        recording = write_recording(args.data, folder / "imu.csv", round(seconds * RATE_HZ["imu"]))
        node = [args.host_sim, recording, "--rate-hz", str(RATE_HZ["imu"])]
        node += ["--speed", "max" if args.soak else str(args.speed)]
        node = subprocess.Popen(
            [*node, "--pty-link", str(folder / "node")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        node.stdout.readline()
        node_began = time.time()
        command = [args.sensorium, "run", "--config", str(folder / "run.toml"), "--json"]
        if args.soak:
            command += ["--clock", "sample"]
        if args.cores:
            command += ["--cores", str(args.cores)]
        program = Program(command)
        try:
            if args.soak:
                soak(args, program, players)
            else:
                measure(args, program, players, node_began)
        finally:
            for player in players:
                player.stop.set()
            program.child.kill()
            node.kill()


def books(said, sense):
    """Samples by fate, and windows scored, left out for the budget and withheld, of what was told at the end."""
    ledger = next(line for line in said if line.startswith(f"sensorium: {sense}: ") and " sampled = " in line)
    samples = list(map(int, re.findall(r"(\d+) (?:sampled|received|lost|dropped)", ledger)))
    assert samples[0] == sum(samples[1:]), ledger
    count = lambda what: int((re.search(rf"(\d+) {what}", ledger) or [0, 0])[1])
    windows = map(count, ("windows scored", "not to keep to the budget", "not while it was degraded"))
    return samples, list(windows)


def soak(args, program, players):
    """Plays hours, and looks at memory all the while."""
    address = program.wait_for(r"listening at http://(\S+)")[1]
    streams = {stream["stream"]: stream for stream in json.loads(get(address, "/streams"))}
    for player in players:
        player.start()
    began, resident_mb = time.monotonic(), []
    while program.child.poll() is None:
        try:
            resident_mb.append(program.memory_mb("VmRSS"))
            peak_mb, spent_s = program.memory_mb("VmHWM"), program.processor_s()
        except (OSError, TypeError):
            break  # It has just ended.
        time.sleep(1.0)
    program.wait()
    took_s = time.monotonic() - began
    said = [line for _, line in program.said]
    all_windows = 0
    for sense in SENSES:
        stream = streams[sense] | {"asked_s": args.hop, "rate_hz": RATE_HZ[sense]}
        (sampled, received, lost, dropped), (scored, skipped, withheld) = books(said, sense)
        played, windows = round(args.soak * 3600 * RATE_HZ[sense]), windows_of(sampled, stream)
        all_windows += scored
        print(
            f"{sense}: {played} played, {sampled} sampled = {received} received + {lost} lost + {dropped} dropped;"
            f" {windows} windows, {scored} scored, {withheld} withheld, {windows - scored - withheld} missed"
        )
    quarter = len(resident_mb) // 4
    early, late = np.mean(resident_mb[quarter : 2 * quarter]), np.mean(resident_mb[3 * quarter :])
    print(
        f"{args.soak:g} h in {took_s:.0f} s, {spent_s:.0f} s of processor time; {all_windows} windows; memory"
        f" {early:.1f} MB in the second quarter, {late:.1f} MB in the last ({100 * (late / early - 1):+.2f} %),"
        f" {peak_mb:.1f} MB at most"
    )
    for line in said:
        if "degraded" in line or "well again" in line:
            print(line)


def measure(args, program, players, node_began):
    address = program.wait_for(r"listening at http://(\S+)")[1]
    for player in players:
        player.start()
    time.sleep(WARM_UP_S)
    streams = {stream["stream"]: stream for stream in json.loads(get(address, "/streams"))}
    for stream in streams.values():
        # A node says only as it sends how often it samples.
        stream["asked_s"] = stream["hop_s"] = args.hop
        stream["rate_hz"] = RATE_HZ[stream["stream"]]
    profiler = None
    if args.perf:
        profiler = ["perf", "record", "-q", "-F", "499", "--call-graph", "dwarf,16384", "-o", args.perf]
        profiler = subprocess.Popen([*profiler, "-p", str(program.child.pid)])
    before, spent_s, resident_mb = metrics(address), program.processor_s(), program.memory_mb("VmRSS")
    began, began_ns = time.monotonic(), time.time_ns()
    ages = {sense: [] for sense in SENSES}
    origins = dict(zip(("audio", "thermal", "depth"), (player.began for player in players)), imu=node_began)
    while time.monotonic() - began < args.seconds:
        if args.speed == 1:
            time.sleep(1.0)
            continue
        time.sleep(0.1)
        now = time.time()
        for stream in json.loads(get(address, "/streams")):
            if stream["now"]:
                played_s = (now - origins[stream["stream"]]) * args.speed
                last_s = stream["now"]["t_end_us"] / 1e6 - 1 / RATE_HZ[stream["stream"]]
                ages[stream["stream"]].append((played_s - last_s) / args.speed * 1e3)
    took_s, spent_s = time.monotonic() - began, program.processor_s() - spent_s
    after = metrics(address)
    if profiler:
        profiler.send_signal(signal.SIGINT)
        profiler.wait()
    grown_mb, peak_mb = program.memory_mb("VmRSS") - resident_mb, program.memory_mb("VmHWM")
    end_ns = time.time_ns()
    program.finish()
    said = [line for _, line in program.said]

    lines = [(at, line) for at, line in program.lines if at < end_ns]
    late = lateness_of_lines(lines, streams, began_ns, hops_told(program.said)) if args.speed == 1 else ages
    if args.lines:
        pathlib.Path(args.lines).write_text("".join(f"{at}\t{line}\n" for at, line in lines))
    load = " ".join(f"{load:.1f}" for load in os.getloadavg())
    cores = f", {args.cores} cores" if args.cores else ""
    print(f"{took_s:.0f} s at speed {args.speed:g}{cores}; load of the machine {load} (1, 5, 15 min)")
    print("stream   hop asked  got    windows  % of a core  ms a window  skipped  dropped  missed")
    for sense in SENSES:
        grew = lambda *key: after.get(key, 0.0) - before.get(key, 0.0)
        scored = grew("sensorium_windows_total", sense, "scored")
        windows_s = grew("sensorium_processor_seconds_total", sense, "")
        (sampled, _, _, dropped), (scored_in_all, skipped, withheld) = books(said, sense)
        missed = windows_of(sampled, streams[sense]) - scored_in_all - skipped - withheld
        print(
            f"{sense:8} {args.hop:9.3f}  {took_s * args.speed / max(scored, 1):5.3f}  {scored:7.0f}"
            f"  {100 * windows_s / took_s:11.2f}  {1e3 * windows_s / max(scored, 1):11.2f}"
            f"  {skipped:7}  {dropped:7}  {missed:6}"
        )
    windows_s = sum(
        after[key] - before[key] for key in after if key[0] == "sensorium_processor_seconds_total"
    )
    print(
        f"all: {100 * spent_s / took_s:.2f} % of a core, of which windows {100 * windows_s / took_s:.2f} %; "
        f"memory {peak_mb:.1f} MB at most, {grown_mb:+.2f} MB since {WARM_UP_S:g} s"
    )
    for sense in SENSES:
        print(f"late, {spread(late[sense], sense)}")
    print(f"late, {spread(sum(late.values(), []), 'all')}")
    print(f"writers at most {1e3 * max(player.worst_s for player in players):.0f} ms behind")
    for line in said:
        if " sampled = " in line or "budget" in line or "degraded" in line or "well again" in line:
            print(line)


if __name__ == "__main__":
    main()
