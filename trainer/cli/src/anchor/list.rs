//! Which pictures and texts a command line means.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

/// File name endings of pictures.
const PICTURES: [&str; 4] = ["jpeg", "jpg", "pgm", "png"];

/// A picture, and what tables call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// As it stands in a list, or under a folder.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

impl AsRef<Path> for Picture {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}

/// Pictures of folders, of lists with a path a line, and single ones.
///
/// # Errors
///
/// A folder or list that cannot be read or names no picture, or a picture that is there twice.
pub fn pictures(sources: &[PathBuf]) -> anyhow::Result<Vec<Picture>> {
    let mut pictures = Vec::new();
    for source in sources {
        let before = pictures.len();
        if source.is_dir() {
            walk(source, source, &mut pictures)?;
        } else if is_picture(source) {
            pictures.push(Picture {
                name: source.to_string_lossy().into_owned(),
                path: source.clone(),
            });
        } else {
            let base = source.parent().unwrap_or(Path::new(""));
            pictures.extend(lines(source)?.into_iter().map(|name| Picture {
                path: base.join(&name),
                name,
            }));
        }
        ensure!(
            pictures.len() > before,
            "{source:?} holds no picture, expected files that end in {}",
            PICTURES.join(", ")
        );
    }
    let mut names = BTreeSet::new();
    match pictures.iter().find(|picture| !names.insert(&picture.name)) {
        None => Ok(pictures),
        Some(twice) => bail!("the picture {:?} is there twice", twice.name),
    }
}

/// All pictures under a folder, in the order of their names.
fn walk(root: &Path, dir: &Path, pictures: &mut Vec<Picture>) -> anyhow::Result<()> {
    let read = || -> std::io::Result<Vec<PathBuf>> {
        let entries = std::fs::read_dir(dir)?;
        entries.map(|entry| Ok(entry?.path())).collect()
    };
    let mut paths = read().with_context(|| format!("reading {dir:?}"))?;
    paths.sort();
    for path in paths {
        if path.is_dir() {
            // A link may lead back up.
            if !path.is_symlink() {
                walk(root, &path, pictures)?;
            }
        } else if is_picture(&path) {
            let name = path.strip_prefix(root).unwrap_or(&path);
            pictures.push(Picture {
                name: name.to_string_lossy().into_owned(),
                path,
            });
        }
    }
    Ok(())
}

fn is_picture(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| {
        PICTURES
            .iter()
            .any(|known| ending.eq_ignore_ascii_case(known))
    })
}

/// The lines of a file that say something; `#` begins a comment.
///
/// # Errors
///
/// A file that cannot be read.
pub fn lines(path: &Path) -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {path:?}"))?;
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines.map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_lists_and_single_pictures() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(at("in/deep")).unwrap();
        for name in [
            "in/b.png",
            "in/a.JPG",
            "in/deep/c.pgm",
            "in/words.txt",
            "d.png",
        ] {
            std::fs::write(at(name), "").unwrap();
        }
        std::fs::write(at("list.txt"), "# some\nin/b.png\n\n d.png \n").unwrap();
        let names = |sources: &[&str]| -> anyhow::Result<Vec<String>> {
            let sources: Vec<PathBuf> = sources.iter().map(|name| at(name)).collect();
            Ok(pictures(&sources)?.into_iter().map(|p| p.name).collect())
        };
        assert_eq!(names(&["in"]).unwrap(), ["a.JPG", "b.png", "deep/c.pgm"]);
        assert_eq!(names(&["list.txt"]).unwrap(), ["in/b.png", "d.png"]);
        let single = at("d.png").to_string_lossy().into_owned();
        assert_eq!(names(&["d.png"]).unwrap(), [single]);
        assert_eq!(names(&["in", "list.txt"]).unwrap().len(), 5);
        let error = names(&["in", "in"]).unwrap_err().to_string();
        assert_eq!(error, "the picture \"a.JPG\" is there twice");
        std::fs::create_dir(at("empty")).unwrap();
        let error = names(&["empty"]).unwrap_err().to_string();
        assert!(
            error.ends_with("expected files that end in jpeg, jpg, pgm, png"),
            "{error}"
        );
        assert!(
            names(&["nowhere"])
                .unwrap_err()
                .to_string()
                .starts_with("reading")
        );
    }
}
