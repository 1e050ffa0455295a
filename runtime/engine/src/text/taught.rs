//! Which words a text tower was taught.
//!
//! A tower gives every word some vector, made of pieces of words that it knows: a name that nobody has, or
//! a slip of the keyboard, looks like any other. The words of its texts are too many to list on a device,
//! so they are kept as a Bloom filter (Bloom, Space/time trade-offs in hash coding with allowable errors,
//! 1970): a word that is in it is always found, and of others one in fifty passes for one, more of those
//! that end as forms of other words do.

use std::collections::BTreeSet;

/// Bits a word.
const BITS: usize = 8;

/// Bits that are looked at for each word, of a filter that is half full the best number.
const LOOKS: u64 = 6;

/// Shorter words are never in doubt: letters, numbers and their like.
const SHORTEST: usize = 3;

/// Endings that English puts to words, and what was there instead. A tower that knows a word makes
/// something of these forms of it.
const ENDINGS: [(&str, &str); 22] = [
    ("s", ""),
    ("es", ""),
    ("ies", "y"),
    ("ed", ""),
    ("ed", "e"),
    ("ied", "y"),
    ("ing", ""),
    ("ing", "e"),
    ("er", ""),
    ("er", "e"),
    ("ier", "y"),
    ("ers", ""),
    ("ers", "e"),
    ("est", ""),
    ("est", "e"),
    ("iest", "y"),
    ("ly", ""),
    ("ily", "y"),
    ("y", ""),
    ("ness", ""),
    ("less", ""),
    ("like", ""),
];

/// Words in lower case, of which it is only known whether a given one is among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taught {
    bits: Vec<u8>,
}

impl Taught {
    /// A filter of these words.
    #[must_use]
    pub fn of(words: &BTreeSet<String>) -> Self {
        let mut filter = Self {
            bits: vec![0; (words.len() * BITS).div_ceil(8).max(1)],
        };
        for word in words {
            let places: Vec<u64> = filter.places(word).collect();
            for place in places {
                filter.bits[(place / 8) as usize] |= 1 << (place % 8);
            }
        }
        filter
    }

    /// Reads what [`as_bytes`](Self::as_bytes) gave; none of an empty file.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        (!bytes.is_empty()).then_some(Self { bits: bytes })
    }

    /// The filter's bits, the first of a byte the lowest.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bits
    }

    /// Whether a word was taught, or is another form of one that was. Short words and numbers are in no
    /// doubt.
    #[must_use]
    pub fn knows(&self, word: &str) -> bool {
        let is_word = word.chars().all(char::is_alphabetic);
        if !is_word || word.chars().count() < SHORTEST || self.holds(word) {
            return true;
        }
        let stems = ENDINGS
            .iter()
            .filter_map(|(ending, instead)| Some((word.strip_suffix(ending)?, *instead)));
        stems
            .flat_map(|(stem, instead)| {
                // As "jogging" is of "jog".
                let mut letters = stem.chars().rev();
                let is_doubled = instead.is_empty() && letters.next() == letters.next();
                let single = is_doubled.then(|| letters.rev().chain(stem.chars().last()).collect());
                [Some(stem.to_owned() + instead), single]
            })
            .flatten()
            .any(|stem: String| stem.chars().count() >= SHORTEST && self.holds(&stem))
    }

    fn holds(&self, word: &str) -> bool {
        self.places(word)
            .all(|place| self.bits[(place / 8) as usize] >> (place % 8) & 1 == 1)
    }

    /// The bits of a word: of two hashes, the first and so many times the second (Kirsch and Mitzenmacher,
    /// Less hashing, same performance, 2006).
    fn places(&self, word: &str) -> impl Iterator<Item = u64> + use<> {
        let bits = self.bits.len() as u64 * 8;
        let (first, step) = (hash(word, 0), hash(word, 1) | 1);
        (0..LOOKS).map(move |look| first.wrapping_add(step.wrapping_mul(look)) % bits)
    }
}

/// FNV-1a of 64 bits, from another start by `seed`, with its bits mixed as MurmurHash3 does at its end.
fn hash(word: &str, seed: u64) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325 ^ seed;
    let mut hash = { word.bytes() }.fold(start, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ hash >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ hash >> 33
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(words: &[&str]) -> Taught {
        Taught::of(&words.iter().map(|word| (*word).to_owned()).collect())
    }

    #[test]
    fn what_is_taught_is_always_known_and_little_else() {
        let words: BTreeSet<String> = (0..20_000).map(|i| format!("taught{i:x}q")).collect();
        let taught = Taught::of(&words);
        assert_eq!(taught.as_bytes().len(), 20_000);
        assert!(words.iter().all(|word| taught.holds(word)));
        let others = (0..20_000).filter(|i| taught.holds(&format!("other{i:x}q")));
        // One in 46 by the formula.
        let share = others.count() as f64 / 20_000.0;
        assert!((0.015..0.03).contains(&share), "{share}");
        let again = Taught::from_bytes(taught.as_bytes().to_vec());
        assert_eq!(again, Some(taught));
        assert_eq!(Taught::from_bytes(Vec::new()), None);
    }

    #[test]
    fn other_forms_of_a_word_are_known_with_it() {
        let words = ["jog", "vacuum", "bake", "carry", "happy", "fall", "glass"];
        // Room enough that nothing else passes.
        let more = (0..5000).map(|i| format!("filler{i}"));
        let words: BTreeSet<String> = words.map(str::to_owned).into_iter().chain(more).collect();
        let taught = Taught::of(&words);
        for word in [
            "jogging",
            "jogger",
            "joggers",
            "vacuuming",
            "vacuums",
            "baking",
            "baked",
            "baker",
            "carries",
            "carried",
            "happily",
            "falls",
            "glasses",
            "a",
            "tv",
            "112",
            "mp3",
        ] {
            assert!(taught.knows(word), "{word}");
        }
        for word in [
            "perosn",
            "walkng",
            "quexal",
            "zorbing",
            "ing",
            "flibberwock",
        ] {
            assert!(!taught.knows(word), "{word}");
        }
    }

    #[test]
    fn words_of_other_scripts_and_of_nothing_are_no_trouble() {
        let taught = filter(&["naïve", "дом"]);
        let known = ["", "é", "ßßßß", "дома", "ingingeding", "sss"].map(|word| taught.knows(word));
        assert!(known[0] && known[1]);
        assert!(taught.knows("naïve") && taught.knows("дом") && taught.knows("naïves"));
    }
}
