#!/usr/bin/env python3
"""Writes mlx90640.txt: an MLX90640's EEPROM, both sub-pages of its RAM, and what they mean.

The temperatures are computed in double precision from the data sheet (3901090640, sections 10.6 and 11)
alone; nothing of the driver is used, so the two check each other. The common words of the EEPROM are
those of the data sheet's worked example, whose intermediate results are asserted below; those of the
pixels are drawn at random (numpy, seed 6). Two pixels are marked broken. The scene goes from -30 to 380 °C,
through all four ranges of temperature. `interleaved` is the same sensor, calibrated for the other reading
pattern. Run as: python3 mlx90640.py > mlx90640.txt
"""
import numpy as np

ROWS, COLUMNS = 24, 32
EMISSIVITY, SELF_HEATING = 0.95, 8.0
COMMON = """
4210 ffbb 0202 f202 f2f2 e2e2 d1e1 b1d1 f10f f00f e0ef e0ef e1e1 f3f2 f404 e504
79a6 2f44 ffdd 2210 3333 2233 ef01 9acc eedc 10ff 2221 3333 2333 0112 eeff bbdd
18ef 2ff1 5952 9d68 5454 0994 6956 5354 2363 e446 fbb5 044b f020 9797 9797 2889
"""
AUXILIARY = {0x700: 0x4BF2, 0x708: 0xFFCA, 0x70A: 0x1881, 0x720: 0x06AF, 0x728: 0xFFC8, 0x72A: 0xCCC5}

row, column = np.mgrid[0:ROWS, 0:COLUMNS]


def bits(word, low, count, sign=True):
    value = (np.asarray(word).astype(np.int64) >> low) & ((1 << count) - 1)
    return np.where(sign & (value >= 1 << (count - 1)), value - (1 << count), value)


class Eeprom:
    """EE[address] of the data sheet, restored by its section 11.1."""

    def __init__(self, words):
        ee = lambda address: int(words[address - 0x2400])
        number = lambda address, low, count, sign=True: float(bits(ee(address), low, count, sign))
        pixels = words[0x40:].reshape(ROWS, COLUMNS)

        def plane(scales, reference):
            # Rows 1 to 24 and columns 1 to 32, four to a word, the first in the lowest bits.
            nibbles = [bits(ee(scales + 2 + at // 4), 4 * (at % 4), 4) for at in range(ROWS + COLUMNS)]
            rows, columns = np.array(nibbles[:ROWS]), np.array(nibbles[ROWS:])
            by = lambda low: 2.0 ** number(scales, low, 4, False)
            return lambda own: reference + rows[row] * by(8) + columns[column] * by(4) + own * by(0)

        self.k_vdd = number(0x2433, 8, 8) * 2**5
        self.vdd_25 = (number(0x2433, 0, 8, False) - 256) * 2**5 - 2**13
        self.k_v_ptat = number(0x2432, 10, 6) / 2**12
        self.k_t_ptat = number(0x2432, 0, 10) / 2**3
        self.v_ptat_25 = number(0x2431, 0, 16)
        self.alpha_ptat = number(0x2410, 12, 4, False) / 2**2 + 8
        self.gain = number(0x2430, 0, 16)
        self.resolution = number(0x2438, 12, 2, False)
        self.offset = plane(0x2410, number(0x2411, 0, 16))(bits(pixels, 10, 6))
        alpha_scale = number(0x2420, 12, 4, False)
        alpha = plane(0x2420, number(0x2421, 0, 16, False))(bits(pixels, 4, 6))
        self.alpha = alpha / 2 ** (alpha_scale + 30)
        k_ta_scale = 2 ** (number(0x2438, 4, 4, False) + 8)
        # Counted from one, as the data sheet does, row 1 is odd.
        odd_row, odd_column = row % 2 == 0, column % 2 == 0
        pick = lambda oo, oe, eo, ee_: np.where(
            odd_row, np.where(odd_column, oo, oe), np.where(odd_column, eo, ee_)
        )
        k_ta = pick(*(number(a, low, 8) for a, low in [(0x2436, 8), (0x2437, 8), (0x2436, 0), (0x2437, 0)]))
        self.k_ta = (k_ta + bits(pixels, 1, 3) * 2 ** number(0x2438, 0, 4, False)) / k_ta_scale
        k_v_scale = 2 ** number(0x2438, 8, 4, False)
        self.k_v = pick(*(number(0x2434, low, 4) for low in (12, 4, 8, 0))) / k_v_scale
        cp = number(0x2439, 0, 10) / 2 ** (alpha_scale + 27)
        self.alpha_cp = [cp, cp * (1 + number(0x2439, 10, 6) / 2**7)]
        cp = number(0x243A, 0, 10)
        self.offset_cp = [cp, cp + number(0x243A, 10, 6)]
        self.k_v_cp = number(0x243B, 8, 8) / k_v_scale
        self.k_ta_cp = number(0x243B, 0, 8) / k_ta_scale
        self.k_s_ta = number(0x243C, 8, 8) / 2**13
        self.tgc = number(0x243C, 0, 8) / 2**5
        scale = 2 ** (number(0x243F, 0, 4, False) + 8)
        self.k_s_to = [number(a, low, 8) / scale for a, low in [(0x243D, 0), (0x243D, 8), (0x243E, 0), (0x243E, 8)]]
        step = number(0x243F, 12, 2, False) * 10
        third = number(0x243F, 4, 4, False) * step
        self.corner = [-40, 0, third, third + number(0x243F, 8, 4, False) * step]
        a1, a3 = 1 / (1 + self.k_s_to[0] * 40), 1 + self.k_s_to[1] * third
        self.alpha_corner = [a1, 1, a3, a3 * (1 + self.k_s_to[2] * (self.corner[3] - third))]
        self.chess = not ee(0x240A) & 0x800
        self.il_chess = [number(0x2435, 0, 6) / 2**4, number(0x2435, 6, 5) / 2, number(0x2435, 11, 5) / 2**3]
        self.broken = (pixels == 0) | (pixels & 1 == 1)


def conditions(e, ram):
    word = lambda address: float(bits(ram[address - 0x400], 0, 16))
    resolution = 2.0  # the control register as it is delivered, 0x1901
    vdd = (word(0x72A) * 2**e.resolution / 2**resolution - e.vdd_25) / e.k_vdd + 3.3
    v_ptat = word(0x720)
    art = v_ptat / (v_ptat * e.alpha_ptat + word(0x700)) * 2**18
    ta = (art / (1 + e.k_v_ptat * (vdd - 3.3)) - e.v_ptat_25) / e.k_t_ptat + 25
    return vdd, ta, e.gain / word(0x70A)


def parts(e, ram, page):
    """What pixels' counts are compared with: gain, offset, and effective sensitivity."""
    word = lambda address: float(bits(ram[address - 0x400], 0, 16))
    vdd, ta, gain = conditions(e, ram)
    offset = e.offset * (1 + e.k_ta * (ta - 25)) * (1 + e.k_v * (vdd - 3.3))
    cp_offset = e.offset_cp[page]
    if not e.chess:
        il = (row % 2).astype(float)
        p = row * COLUMNS + column
        conversion = ((p + 2) // 4 - (p + 3) // 4 + (p + 1) // 4 - p // 4) * (1 - 2 * il)
        offset -= e.il_chess[2] * (2 * il - 1) - e.il_chess[1] * conversion
        cp_offset += e.il_chess[0] * page
    cp = word(0x708 if page == 0 else 0x728) * gain
    cp -= cp_offset * (1 + e.k_ta_cp * (ta - 25)) * (1 + e.k_v_cp * (vdd - 3.3))
    alpha = (e.alpha - e.tgc * e.alpha_cp[page]) * (1 + e.k_s_ta * (ta - 25))
    ta4, tr4 = (ta + 273.15) ** 4, (ta - SELF_HEATING + 273.15) ** 4
    t_ar = tr4 - (tr4 - ta4) / EMISSIVITY
    return gain, offset + e.tgc * cp, alpha, t_ar


def temperatures(e, ram, page):
    gain, offset, alpha, t_ar = parts(e, ram, page)
    v = (bits(ram[: ROWS * COLUMNS].reshape(ROWS, COLUMNS), 0, 16) * gain - offset) / EMISSIVITY
    sx = e.k_s_to[1] * (alpha**3 * v + alpha**4 * t_ar) ** 0.25
    to = (v / (alpha * (1 - e.k_s_to[1] * 273.15) + sx) + t_ar) ** 0.25 - 273.15
    at = np.searchsorted(e.corner[1:], to, side="right")
    k, c, a = (np.array(x)[at] for x in (e.k_s_to, e.corner, e.alpha_corner))
    return (v / (alpha * a * (1 + k * (to - c))) + t_ar) ** 0.25 - 273.15


def counts(e, ram, page, scene):
    """The counts of a scene: what a pixel of known temperature radiates, the other way round."""
    gain, offset, alpha, t_ar = parts(e, ram, page)
    at = np.searchsorted(e.corner[1:], scene, side="right")
    k, c, a = (np.array(x)[at] for x in (e.k_s_to, e.corner, e.alpha_corner))
    v = alpha * a * (1 + k * (scene - c)) * ((scene + 273.15) ** 4 - t_ar)
    return np.clip(np.rint((v * EMISSIVITY + offset) / gain), -32768, 32766).astype(np.int64)


def check_worked_example():
    words = np.zeros(0x340, np.int64)
    words[0x10:0x40] = [int(word, 16) for word in COMMON.split()]
    words[0x40:] = 0x08A0  # pixel (12, 16)
    e, at = Eeprom(words), (11, 15)
    ram = np.full(0x340, 0x0261)
    for address, word in AUXILIARY.items():
        ram[address - 0x400] = word
    vdd, ta, gain = conditions(e, ram)
    close = lambda found, told, digits: abs(found - told) <= 0.5 * 10.0**-digits or exit((found, told))
    close(vdd, 3.319, 3)
    close(ta, 39.184, 3)
    close(gain, 1.01753546947234, 13)
    assert (e.offset[at], e.k_v[at], e.offset_cp) == (-75, 0.5, [-75, -77])
    close(e.k_ta[at], 0.005126953125, 12)
    close(e.alpha[at] * 1e7, 1.26223312690854, 13)
    alpha = (e.alpha[at] - e.tgc * e.alpha_cp[0]) * (1 + e.k_s_ta * (39.184 - 25))
    close(alpha * 1e7, 1.1876487360496, 12)
    offset = e.offset[at] * (1 + e.k_ta[at] * (ta - 25)) * (1 + e.k_v[at] * (vdd - 3.3))
    close(609 * gain - offset, 700.882495690866, 10)


def main():
    check_worked_example()
    random = np.random.default_rng(6)
    words = np.zeros(0x340, np.int64)
    words[0x0A] = 0x0499
    words[0x10:0x40] = [int(word, 16) for word in COMMON.split()]
    words[0x40:] = random.integers(1, 0x8000, ROWS * COLUMNS) * 2
    words[0x40 + 0 * 32 + 0] = 0  # broken
    words[0x40 + 13 * 32 + 9] |= 1  # an outlier
    scene = -30 + 410 * (row * COLUMNS + column) / (ROWS * COLUMNS - 1)
    for name, options in (("chess", 0x0499), ("interleaved", 0x0C99)):
        words[0x0A] = options
        e = Eeprom(words)
        print(f"{name} eeprom")
        show(words)
        whole = np.zeros((ROWS, COLUMNS))
        for page in (0, 1):
            ram = np.full(0x340, 0x7FFF)
            for address, word in AUXILIARY.items():
                ram[address - 0x400] = word
            # The sensor warms up a little between the two.
            ram[0x720 - 0x400] += 2 * page
            ram[: ROWS * COLUMNS] = counts(e, ram, page, scene).ravel() & 0xFFFF
            mine = (row + column) % 2 == page
            whole = np.where(mine, temperatures(e, ram, page), whole)
            print(f"{name} ram {page}")
            show(ram)
        mended = whole.copy()
        for r, c in zip(*np.nonzero(e.broken)):
            around = np.s_[max(r - 1, 0) : r + 2, max(c - 1, 0) : c + 2]
            mended[r, c] = whole[around][~e.broken[around]].mean()
        print(f"{name} celsius")
        for line in mended:
            print(" ".join(f"{value:.4f}" for value in line))


def show(words):
    for line in np.asarray(words).reshape(-1, 32):
        print(" ".join(f"{word:04x}" for word in line))


main()
