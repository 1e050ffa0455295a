//! Character references of HTML, resolved as Python's `html.unescape` does.
//!
//! The rules are those of the HTML standard (13.2.5.72 ff.): names may lack their semicolon where
//! they have been written so since HTML 4, and the longest name that fits counts.

use alloc::format;
use alloc::string::{String, ToString};

use html_escape::NAMED_ENTITIES;

/// Names that need no semicolon.
const BARE: &str = "AElig AMP Aacute Acirc Agrave Aring Atilde Auml COPY Ccedil ETH Eacute Ecirc \
    Egrave Euml GT Iacute Icirc Igrave Iuml LT Ntilde Oacute Ocirc Ograve Oslash Otilde Ouml QUOT \
    REG THORN Uacute Ucirc Ugrave Uuml Yacute aacute acirc acute aelig agrave amp aring atilde \
    auml brvbar ccedil cedil cent copy curren deg divide eacute ecirc egrave eth euml frac12 \
    frac14 frac34 gt iacute icirc iexcl igrave iquest iuml laquo lt macr micro middot nbsp not \
    ntilde oacute ocirc ograve ordf ordm oslash otilde ouml para plusmn pound quot raquo reg sect \
    shy sup1 sup2 sup3 szlig thorn times uacute ucirc ugrave uml uuml yacute yen yuml";

/// Longest reference that is looked at.
const LONGEST: usize = 32;

/// A text with its character references resolved; what is none stays.
#[must_use]
pub fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let resolved = match rest.strip_prefix('#') {
            Some(number) => numeric(number).map(|(text, len)| (text, len + 1)),
            None => named(rest),
        };
        match resolved {
            Some((text, len)) => {
                out.push_str(&text);
                rest = &rest[len..];
            }
            None => out.push('&'),
        }
    }
    out + rest
}

/// The text of a name with its semicolon, such as `eacute`.
pub(super) fn entity(name: &str) -> Option<&'static str> {
    let place = NAMED_ENTITIES.binary_search_by(|(known, _)| (*known).cmp(name.as_bytes()));
    place.ok().map(|place| NAMED_ENTITIES[place].1)
}

/// What a name stands for, and how much of the text it is.
fn named(text: &str) -> Option<(String, usize)> {
    let ends = |c: char| "\t\n\u{c} <&#;".contains(c);
    let mut end = 0;
    for (count, (at, c)) in text.char_indices().enumerate() {
        if count == LONGEST || ends(c) {
            break;
        }
        end = at + c.len_utf8();
    }
    let name = &text[..end];
    if text[end..].starts_with(';')
        && let Some(resolved) = entity(name)
    {
        return Some((resolved.to_string(), end + 1));
    }
    let bare = |name: &str| BARE.split(' ').any(|known| known == name);
    let prefixes = name.char_indices().map(|(at, c)| at + c.len_utf8()).rev();
    let longest = prefixes.map(|end| &name[..end]).find(|name| bare(name))?;
    Some((entity(longest)?.to_string(), longest.len()))
}

/// What a number stands for, and how much of the text behind `#` it is.
fn numeric(text: &str) -> Option<(String, usize)> {
    let (digits, radix) = match text.strip_prefix(['x', 'X']) {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    let count = digits
        .find(|c: char| !c.is_digit(radix))
        .unwrap_or(digits.len());
    if count == 0 {
        return None;
    }
    let mut len = text.len() - digits.len() + count;
    if text[len..].starts_with(';') {
        len += 1;
    }
    // What does not fit into a number is beyond all characters anyway.
    let code = u32::from_str_radix(&digits[..count], radix).unwrap_or(u32::MAX);
    Some((character(code), len))
}

/// The character of a number as browsers see it.
fn character(code: u32) -> String {
    const UNKNOWN: &str = "\u{fffd}";
    match code {
        0 | 0xd800..=0xdfff | 0x11_0000.. => UNKNOWN.to_string(),
        0xd => "\r".to_string(),
        0x80..=0x9f => super::mojibake::windows_1252(code as u8).to_string(),
        // What the standard calls an error has no text.
        0x1..=0x8 | 0xb | 0xe..=0x1f | 0x7f | 0xfdd0..=0xfdef => String::new(),
        _ if code & 0xfffe == 0xfffe => String::new(),
        _ => char::from_u32(code).map_or_else(|| UNKNOWN.to_string(), |c| format!("{c}")),
    }
}
