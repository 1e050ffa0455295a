"""Writes golden.txt: texts, as code points, and the numbers that CLIP's encoders get for them.

Needs Python 3.11 or later, ftfy 6.3.1, regex 2024 or later, and the vocabulary that the crate
instant-clip-tokenizer carries:

    python golden.py PATH/bpe_simple_vocab_16e6.txt > golden.txt
"""

import html
import sys

import ftfy
import regex

START, END, CONTEXT, MERGES = "<|startoftext|>", "<|endoftext|>", 77, 49152 - 256 - 2
WORDS = regex.compile(
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+",
    regex.IGNORECASE,
)


def letters():
    """A visible letter for each byte."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in shown]
    pairs = [(byte, chr(byte)) for byte in shown]
    return dict(pairs + [(byte, chr(256 + i)) for i, byte in enumerate(hidden)])


def tables(path):
    lines = open(path, encoding="utf-8").read().split("\n")[1 : MERGES + 1]
    merges = [tuple(line.split()) for line in lines]
    single = list(LETTERS.values())
    names = single + [letter + "</w>" for letter in single] + ["".join(m) for m in merges]
    numbers = {name: number for number, name in enumerate(names + [START, END])}
    return {merge: rank for rank, merge in enumerate(merges)}, numbers


def pieces(word, ranks):
    if word in (START, END):
        return [word]
    word = "".join(LETTERS[byte] for byte in word.encode())
    parts = [*word[:-1], word[-1] + "</w>"]
    while True:
        known = [(ranks[pair], i) for i, pair in enumerate(zip(parts, parts[1:])) if pair in ranks]
        if not known:
            return parts
        best = parts[min(known)[1]], parts[min(known)[1] + 1]
        merged, i = [], 0
        while i < len(parts):
            both = tuple(parts[i : i + 2]) == best
            merged.append("".join(best) if both else parts[i])
            i += 2 if both else 1
        parts = merged


def numbers_of(text, ranks, numbers):
    text = html.unescape(html.unescape(ftfy.fix_text(text))).strip()
    text = regex.sub(r"\s+", " ", text).strip().lower()
    ids = [numbers[p] for word in WORDS.findall(text) for p in pieces(word, ranks)]
    return [numbers[START], *ids[: CONTEXT - 2], numbers[END]]


def wrong(text, times=1):
    """A text in UTF-8 that was read as Windows-1252."""
    for _ in range(times):
        read = lambda byte: bytes([byte]).decode("cp1252", "ignore") or chr(byte)
        text = "".join(map(read, text.encode()))
    return text


TEXTS = [
    "a person walking downstairs",
    "The sound of glass breaking!",
    "don't DON'T I'll we'Ve 'em rock'n'roll o'clock",
    "",
    " \t\n ",
    "12345 3.14 1,000 ½ ² Ⅷ ٣ १",
    "café naïve Ünïcödé İstanbul ẞ ΟΔΟΣ Σ",
    "e\u0301 o\u0308 \u1e9b\u0323 \u2126 \u212b",
    "日本語のテキスト привет мир あ",
    "emoji 🐶🚗 👨\u200d👩\u200d👧 🇩🇪",
    "O’Reilly’s “quoted” text—dash… ʼtis ‘so’",
    "ﬁne ﬀ ﬃ ﬅ Ĳsland ŉ ǆ ﬆ",
    "ＦＵＬＬ　ｗｉｄｔｈ １２３ ｶﾞ ￥ ＂ｑ＂",
    "line\r\nbreak\rthere\u2028and\u2029so\x85on",
    "\x1b[31mred\x1b[0m \x1b[1;3m\x1b[K \x1b[x1",
    "\x00\x07\x0b\x0c\x7f zero\u200bwidth \ufeffbom \u2060 \ufffc \u206a",
    "<b>Tom &amp;amp; Jerry</b> &lt;3",
    "&lt;b&gt; &amp;amp; &quot;hi&quot; &#39;x&#39; &#x27; &#128; &#0; &#9999999999;",
    "&eacute; &EACUTE; &NotAnEntity; &notit; &copy 2020 &copy2020 AT&T R&D",
    "x &eacute;\n<p>\n&eacute; &EACUTE;",
    "<|startoftext|> hi <|endoftext|> a!<|endoftext|><|endoftext|>",
    "snake_case CamelCase kebab-case #tag @user http://x.y/z?a=1&b=2 !!!???...---",
    wrong("café résumé, schön"),
    wrong("it’s “good” – ok…"),
    wrong("über", 2),
    wrong("日本語"),
    wrong("привет"),
    wrong("🐶 dog"),
    "🐶 and " + wrong("été"),
    "Ã propos, voilÃ \u00c2 5, 20Â°C ж, Â½",
    "São «été» café»… MAÇÃ É BOA, IRMÃ MARIA, Ü»… À» Å’x Ä…",
    "supercalifragilisticexpialidocious " * 12,
    "word " * 100,
    "あ" * 90,
]

LETTERS = letters()
if __name__ == "__main__":
    ranks, numbers = tables(sys.argv[1])
    for text in TEXTS:
        points = " ".join(f"{ord(c):x}" for c in text)
        print(points, *numbers_of(text, ranks, numbers), sep="\t", end="\n")
