//! The pages of an Ogg file, checked before anything is decoded: decoders skip a damaged page, and
//! the sound is shorter without a word.

use crc::{Algorithm, Crc, Table};
use thiserror::Error;

/// The check sum of a page (RFC 3533, section 6).
const CRC: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&Algorithm {
    width: 32,
    poly: 0x04c1_1db7,
    init: 0,
    refin: false,
    refout: false,
    xorout: 0,
    check: 0x89a1_897f,
    residue: 0,
});

const MARK: &[u8; 4] = b"OggS";

/// Bytes of a page before its table of segments.
const HEAD: usize = 27;

/// Flags of a page: the first of its stream, and the last.
const FIRST: u8 = 2;
const LAST: u8 = 4;

/// Why the pages of an Ogg file are not whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PageError {
    /// No page begins where one should.
    #[error("no Ogg page begins at byte {at}")]
    Mark {
        /// Bytes from the start of the file.
        at: usize,
    },
    /// The file breaks off, or ends without a last page.
    #[error("the Ogg stream breaks off at byte {at}")]
    Cut {
        /// Bytes in the file.
        at: usize,
    },
    /// Bytes of a page were changed.
    #[error("the Ogg page at byte {at} has checksum {actual:#010x}, expected {expected:#010x}")]
    Checksum {
        /// Bytes from the start of the file.
        at: usize,
        /// Computed over the page.
        actual: u32,
        /// Written in the page.
        expected: u32,
    },
    /// Pages are missing or doubled.
    #[error("the Ogg page at byte {at} has number {actual}, expected {expected}")]
    Number {
        /// Bytes from the start of the file.
        at: usize,
        /// Its number.
        actual: u32,
        /// The number after that of the page before.
        expected: u32,
    },
    /// More than one stream.
    #[error("another Ogg stream begins at byte {at}, expected one")]
    Streams {
        /// Bytes from the start of the file.
        at: usize,
    },
}

/// Checks that a file is one stream of whole pages. What follows the last page is not looked at.
pub(super) fn check(bytes: &[u8]) -> Result<(), PageError> {
    let mut at = 0;
    let mut serial = None;
    for expected in 0.. {
        let rest = &bytes[at..];
        let cut = PageError::Cut { at: bytes.len() };
        if !rest.starts_with(&MARK[..rest.len().min(MARK.len())]) {
            return Err(PageError::Mark { at });
        }
        let (head, rest_of) = rest.split_first_chunk::<HEAD>().ok_or(cut)?;
        let segments = rest_of.get(..usize::from(head[26])).ok_or(cut)?;
        let body: usize = segments.iter().map(|&len| usize::from(len)).sum();
        let page = rest.get(..HEAD + segments.len() + body).ok_or(cut)?;
        check_sum(page, head, at)?;
        if *serial.get_or_insert(word(head, 14)) != word(head, 14) {
            return Err(PageError::Streams { at });
        }
        let actual = word(head, 18);
        if actual != expected {
            return Err(PageError::Number {
                at,
                actual,
                expected,
            });
        }
        at += page.len();
        if head[5] & LAST != 0 {
            break;
        }
    }
    let next = bytes[at..].first_chunk::<HEAD>();
    if next.is_some_and(|head| head.starts_with(MARK) && head[5] & FIRST != 0) {
        return Err(PageError::Streams { at });
    }
    Ok(())
}

fn check_sum(page: &[u8], head: &[u8; HEAD], at: usize) -> Result<(), PageError> {
    let expected = word(head, 22);
    // The field itself counts as zeros.
    let mut digest = CRC.digest();
    digest.update(&page[..22]);
    digest.update(&[0; 4]);
    digest.update(&page[26..]);
    let actual = digest.finalize();
    if actual != expected {
        return Err(PageError::Checksum {
            at,
            actual,
            expected,
        });
    }
    Ok(())
}

fn word(head: &[u8; HEAD], at: usize) -> u32 {
    u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]])
}

/// Gives each page the check sum of what it holds, as far as there are whole pages.
#[cfg(test)]
pub(super) fn reseal(bytes: &mut [u8]) {
    let mut rest = bytes;
    while let Some(&segments) = rest.get(HEAD - 1) {
        let table = rest
            .get(HEAD..HEAD + usize::from(segments))
            .unwrap_or_default();
        let body: usize = table.iter().map(|&len| usize::from(len)).sum();
        let size = HEAD + usize::from(segments) + body;
        let Some((page, others)) = rest.split_at_mut_checked(size) else {
            return;
        };
        page[22..26].fill(0);
        let sum = CRC.checksum(page);
        page[22..26].copy_from_slice(&sum.to_le_bytes());
        rest = others;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(flags: u8, number: u32, body: &[u8]) -> Vec<u8> {
        let mut page = [&MARK[..], &[0, flags], &[0; 8], &7u32.to_le_bytes()].concat();
        page.extend(number.to_le_bytes());
        page.extend([0; 4]);
        page.extend([1, body.len() as u8]);
        page.extend(body);
        reseal(&mut page);
        page
    }

    #[test]
    fn damage_is_told_where_it_is() {
        let whole = [page(2, 0, b"head"), page(0, 1, b"body"), page(4, 2, b"end")].concat();
        assert_eq!(check(&whole), Ok(()));
        assert_eq!(check(&[&whole[..], b"tag"].concat()), Ok(()));
        for len in 0..whole.len() {
            assert_eq!(check(&whole[..len]), Err(PageError::Cut { at: len }));
        }
        for byte in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[byte] ^= 1;
            assert!(check(&flipped).is_err(), "byte {byte}");
        }
        let lost = [page(2, 0, b"head"), page(4, 2, b"end")].concat();
        let message = check(&lost).unwrap_err().to_string();
        assert_eq!(message, "the Ogg page at byte 32 has number 2, expected 1");
        let chained = [&whole[..], &page(2, 0, b"head")].concat();
        let message = check(&chained).unwrap_err().to_string();
        assert_eq!(
            message,
            "another Ogg stream begins at byte 95, expected one"
        );
    }
}
