//! The repairs of `ftfy` (Speer 2019) at its defaults, in its order.

use alloc::string::{String, ToString};

use unicode_normalization::UnicodeNormalization;

use super::entity::{entity, unescape};
use super::mojibake;

/// A text with what went wrong with it put right: entities (unless it has tags), wrongly decoded
/// bytes, ligatures, full-width letters, curled quotes, line ends, escape sequences of terminals,
/// control characters; composed (NFC).
#[must_use]
pub fn repair(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut entities = true;
    for line in text.split_inclusive('\n') {
        // A tag says that this is HTML, where entities are meant; so is what follows.
        entities &= !line.contains('<');
        let mut line = line.to_string();
        loop {
            let repaired = repair_once(&line, entities);
            if repaired == line {
                break;
            }
            line = repaired;
        }
        out.push_str(&line);
    }
    out
}

fn repair_once(text: &str, entities: bool) -> String {
    let text = if entities {
        resolve(text)
    } else {
        text.to_string()
    };
    let text = mojibake::decode(&text);
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{80}'..='\u{9f}' => {
                plain.push(mojibake::windows_1252(u32::from(c) as u8));
            }
            // Joined letters, though not those which are letters of their own.
            'Ĳ' | 'ĳ' | 'ŉ' | '\u{1c4}'..='\u{1cc}' | '\u{1f1}'..='\u{1f3}' => {
                plain.extend(core::iter::once(c).nfkc());
            }
            '\u{fb00}'..='\u{fb06}' => plain.push_str(joined(c)),
            // Full-width and half-width forms, and the wide space.
            '\u{ff01}'..='\u{ffef}' | '\u{3000}' => plain.extend(core::iter::once(c).nfkc()),
            '\u{2bc}' | '\u{2018}'..='\u{201b}' => plain.push('\''),
            '\u{201c}'..='\u{201f}' => plain.push('"'),
            _ => plain.push(c),
        }
    }
    let plain = plain
        .replace("\r\n", "\n")
        .replace(['\r', '\u{2028}', '\u{2029}'], "\n");
    let plain = without_escapes(&plain);
    plain.chars().filter(|c| !is_control(*c)).nfc().collect()
}

fn joined(c: char) -> &'static str {
    match c {
        '\u{fb00}' => "ff",
        '\u{fb01}' => "fi",
        '\u{fb02}' => "fl",
        '\u{fb03}' => "ffi",
        '\u{fb04}' => "ffl",
        '\u{fb05}' => "ſt",
        _ => "st",
    }
}

/// Entities with their semicolon; a name in capitals stands for the capital.
fn resolve(text: &str) -> String {
    const LONGEST: usize = 24;
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let body = &rest[1..];
        let digits = body.strip_prefix('#').unwrap_or(body);
        let len = digits
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(digits.len());
        let end = 1 + (body.len() - digits.len()) + len;
        let resolved = if len == 0 || len > LONGEST || !rest[end..].starts_with(';') {
            None
        } else if digits.len() < body.len() {
            let resolved = unescape(&rest[..=end]);
            (!resolved.contains(';')).then_some(resolved)
        } else {
            let name = &body[..len];
            let lower = name.to_ascii_lowercase();
            let capital = || {
                let in_capitals = name == lower.to_ascii_uppercase();
                entity(&lower)
                    .filter(|_| in_capitals)
                    .map(str::to_uppercase)
            };
            entity(name).map(str::to_string).or_else(capital)
        };
        match resolved {
            Some(resolved) => {
                out.push_str(&resolved);
                rest = &rest[end + 1..];
            }
            None => {
                out.push('&');
                rest = body;
            }
        }
    }
    out + rest
}

/// Without colours and cursor movements of terminals: escape, bracket, numbers, a letter.
fn without_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\u{1b}[") {
        let body = &rest[at + 2..];
        let len = body
            .find(|c: char| !(c.is_ascii_digit() || c == ';'))
            .unwrap_or(body.len());
        if body[len..].starts_with(|c: char| c.is_ascii_alphabetic()) {
            out.push_str(&rest[..at]);
            rest = &body[len + 1..];
        } else {
            out.push_str(&rest[..at + 2]);
            rest = body;
        }
    }
    out + rest
}

/// Characters that no text shows.
fn is_control(c: char) -> bool {
    matches!(
        c,
        '\0'..='\u{8}'
            | '\u{b}'
            | '\u{e}'..='\u{1f}'
            | '\u{7f}'
            | '\u{206a}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffc}'
    )
}
