//! Patterns of file names, as shells and WebDataset expand them.

use super::ShardError;

/// Most files of a pattern.
const MOST: usize = 100_000;

/// All names that a pattern stands for, the last brace changing fastest.
pub(super) fn expand(pattern: &str) -> Result<Vec<String>, ShardError> {
    let wrong = || ShardError::Pattern {
        pattern: pattern.to_owned(),
    };
    let many = || ShardError::Count {
        pattern: pattern.to_owned(),
        most: MOST,
    };
    let mut names = vec![String::new()];
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('{') {
        let (inside, after) = after.split_once('}').ok_or_else(wrong)?;
        if before.contains('}') || inside.contains('{') {
            return Err(wrong());
        }
        let words = match range(inside) {
            Some((first, last)) => numbers(first, last, MOST).ok_or_else(many)?,
            None if inside.contains(',') => inside.split(',').map(str::to_owned).collect(),
            None => return Err(wrong()),
        };
        if names.len() * words.len() > MOST {
            return Err(many());
        }
        let join = |name: &String| {
            let name = name.clone();
            let words = words.iter();
            words
                .map(move |word| format!("{name}{before}{word}"))
                .collect::<Vec<_>>()
        };
        names = names.iter().flat_map(join).collect();
        rest = after;
    }
    if rest.contains('}') {
        return Err(wrong());
    }
    Ok(names.into_iter().map(|name| name + rest).collect())
}

fn range(inside: &str) -> Option<(&str, &str)> {
    let is_number = |text: &str| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        digits && (1..=9).contains(&text.len())
    };
    let (first, last) = inside.split_once("..")?;
    (is_number(first) && is_number(last)).then_some((first, last))
}

/// Numbers from one to another, up or down, as wide as the wider of the two where one begins with 0.
fn numbers(first: &str, last: &str, most: usize) -> Option<Vec<String>> {
    let padded = |text: &str| text.len() > 1 && text.starts_with('0');
    let width = if padded(first) || padded(last) {
        first.len().max(last.len())
    } else {
        0
    };
    let (from, to): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
    if from.abs_diff(to) >= most {
        return None;
    }
    let name = |number: usize| format!("{number:0width$}");
    Some(if from <= to {
        (from..=to).map(name).collect()
    } else {
        (to..=from).rev().map(name).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_are_expanded_as_shells_do() {
        let expand = |pattern| expand(pattern).unwrap().join(" ");
        assert_eq!(expand("a.tar"), "a.tar");
        assert_eq!(
            expand("t-{0008..0010}.tar"),
            "t-0008.tar t-0009.tar t-0010.tar"
        );
        assert_eq!(expand("{9..11}"), "9 10 11");
        assert_eq!(expand("{01..3}"), "01 02 03");
        assert_eq!(expand("{2..0}"), "2 1 0");
        assert_eq!(
            expand("{a,b}/{0..1}.tar"),
            "a/0.tar a/1.tar b/0.tar b/1.tar"
        );
        assert_eq!(expand("{a,}x"), "ax x");
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for pattern in [
            "{0..1", "0..1}", "{}", "{a}", "{0..x}", "{{0..1}}", "{0..1}}", "{-1..1}",
        ] {
            let error = expand(pattern).unwrap_err();
            assert!(matches!(error, ShardError::Pattern { .. }), "{pattern}");
        }
        for pattern in ["{0..999999999}", "{0..999}{0..999}{0..999}"] {
            let error = expand(pattern).unwrap_err().to_string();
            assert!(error.ends_with("expected at most 100000 files"), "{error}");
        }
    }
}
