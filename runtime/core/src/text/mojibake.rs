//! Text in UTF-8 that somebody decoded as something else, such as `cafÃ©`.

use alloc::string::String;
use alloc::vec::Vec;

/// Code points of the bytes 0x80 to 0x9f in Windows-1252; its five holes are control characters, as
/// browsers have it.
const WINDOWS_1252: [char; 32] = [
    '\u{20ac}', '\u{81}', '\u{201a}', '\u{192}', '\u{201e}', '\u{2026}', '\u{2020}', '\u{2021}',
    '\u{2c6}', '\u{2030}', '\u{160}', '\u{2039}', '\u{152}', '\u{8d}', '\u{17d}', '\u{8f}',
    '\u{90}', '\u{2018}', '\u{2019}', '\u{201c}', '\u{201d}', '\u{2022}', '\u{2013}', '\u{2014}',
    '\u{2dc}', '\u{2122}', '\u{161}', '\u{203a}', '\u{153}', '\u{9d}', '\u{17e}', '\u{178}',
];

/// The character of a byte in Windows-1252.
pub(super) fn windows_1252(byte: u8) -> char {
    match byte {
        0x80..=0x9f => WINDOWS_1252[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}

/// The byte of a character in Windows-1252, or in Latin-1 where that has none.
fn byte(c: char) -> Option<u8> {
    if let Some(place) = WINDOWS_1252.iter().position(|known| *known == c) {
        return u8::try_from(0x80 + place).ok();
    }
    u8::try_from(u32::from(c)).ok()
}

/// The text with every sequence put right that is UTF-8 by its bytes and unlikely as it stands.
pub(super) fn decode(text: &str) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    // What was decoded wrongly twice is put right twice.
    while let Some(fixed) = whole(&chars).or_else(|| parts(&chars)) {
        chars = fixed;
    }
    chars.into_iter().collect()
}

/// All of a text, if all of it is bytes of UTF-8 and something in it is unlikely.
fn whole(chars: &[char]) -> Option<Vec<char>> {
    let mut bytes = Vec::with_capacity(chars.len());
    let mut unlikely = false;
    for (at, &c) in chars.iter().enumerate() {
        bytes.push(byte(c)?);
        if hard_space(chars, at).is_some() {
            bytes.push(0xa0);
            unlikely = true;
        }
        unlikely |= is_unlikely(&chars[at..]);
    }
    if !unlikely {
        return None;
    }
    let decoded: Vec<char> = String::from_utf8(bytes).ok()?.chars().collect();
    (decoded != chars).then_some(decoded)
}

/// Each sequence by itself, where the rest of the text is something else.
fn parts(chars: &[char]) -> Option<Vec<char>> {
    let mut out = Vec::with_capacity(chars.len());
    let mut at = 0;
    let mut fixed = false;
    while let Some(&c) = chars.get(at) {
        if let Some(space) = hard_space(chars, at) {
            out.push(space);
            fixed = true;
        } else if let Some((c, len)) = sequence(&chars[at..]) {
            out.push(c);
            fixed = true;
            at += len - 1;
        } else {
            out.push(c);
        }
        at += 1;
    }
    fixed.then_some(out)
}

/// What a letter at the end of a word was if the hard space behind it, its second byte, became a
/// plain one on the way. Words in capitals may end so, and some of Portuguese begin so.
fn hard_space(chars: &[char], at: usize) -> Option<char> {
    let (decoded, rest) = match chars.get(at..)? {
        ['Ã', ' ', rest @ ..] => ('à', rest),
        ['Â', ' ', rest @ ..] => ('\u{a0}', rest),
        _ => return None,
    };
    let begins = |word: &str| {
        word.chars()
            .eq(rest.iter().copied().take(word.chars().count()))
    };
    let portuguese = [" ", "quele", "quela", "quilo", "s "]
        .into_iter()
        .any(begins);
    let in_capitals = at
        .checked_sub(1)
        .is_some_and(|before| chars[before].is_uppercase());
    (!portuguese && !in_capitals).then_some(decoded)
}

/// The character that the next few are the bytes of, and how many they are.
fn sequence(chars: &[char]) -> Option<(char, usize)> {
    let len = sequence_len(chars)?;
    let mut bytes = [0; 4];
    for (byte_of, c) in bytes[..len].iter_mut().zip(chars.get(..len)?) {
        *byte_of = byte(*c)?;
    }
    let decoded = core::str::from_utf8(&bytes[..len]).ok()?.chars().next()?;
    is_unlikely(chars).then_some((decoded, len))
}

/// Bytes of the character that begins with this one.
fn sequence_len(chars: &[char]) -> Option<usize> {
    match byte(*chars.first()?)? {
        0xc2..=0xdf => Some(2),
        0xe0..=0xef => Some(3),
        0xf0..=0xf4 => Some(4),
        _ => None,
    }
}

/// Whether the next few characters hardly stand side by side in any text: a capital that few
/// languages have, or a letter with an accent, before signs that no word is followed by; or anything
/// before a control character.
fn is_unlikely(chars: &[char]) -> bool {
    const RARE: &str = "ÂÃÄÅÎÏÐÑØÙÚÞßâãåæèéêìíîïðàáäçë";
    const FOLLOWS_WORDS: &str = "…’‘”“–—•»«";
    const FOLLOWS_CAPITALS: &str = "…’”–";
    let Some(len) = sequence_len(chars) else {
        return false;
    };
    let rest = chars.get(1..len).unwrap_or_default();
    let continues = |c: &char| byte(*c).is_some_and(|byte| byte & 0xc0 == 0x80);
    if rest.is_empty() || !rest.iter().all(continues) {
        return false;
    }
    let usual = match chars[0] {
        'Â' | 'Ã' => FOLLOWS_CAPITALS,
        _ => FOLLOWS_WORDS,
    };
    let usual = rest.iter().all(|c| usual.contains(*c));
    let hidden = rest.iter().any(|c| matches!(c, '\u{80}'..='\u{9f}'));
    hidden || RARE.contains(chars[0]) && !usual
}
