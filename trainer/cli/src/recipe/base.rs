//! Recipes that differ from another in some tables only.

use std::path::{Path, PathBuf};

use sensorium_engine::keys::from_toml;

use super::RecipeError;

/// The key that names the other recipe, relative to the file.
const BASE: &str = "base";

/// The text of a recipe: the file's own or, where it has the key `base`, that of the other recipe with the
/// file's tables in the place of its.
///
/// # Errors
///
/// A file that cannot be read or is no TOML; a base with a base of its own.
pub fn read(path: &Path) -> Result<String, RecipeError> {
    let text = open(path)?;
    let mut own = parse(&text, path)?;
    let Some(base) = own.remove(BASE) else {
        return Ok(text);
    };
    let wrong = |what| RecipeError::Value {
        path: path.to_owned(),
        what,
    };
    let Some(base) = base.as_str() else {
        return Err(wrong(format!("{BASE} is {base}, expected a file's name")));
    };
    let base: PathBuf = path.parent().unwrap_or(Path::new("")).join(base);
    let mut table = parse(&open(&base)?, &base)?;
    if table.contains_key(BASE) {
        return Err(wrong(format!("{BASE} {base:?} has a {BASE} of its own")));
    }
    table.extend(own);
    // Tables read from text can be written as text.
    toml::to_string(&table).map_err(|error| wrong(error.to_string()))
}

fn open(path: &Path) -> Result<String, RecipeError> {
    std::fs::read_to_string(path).map_err(|source| RecipeError::Read {
        path: path.to_owned(),
        source,
    })
}

fn parse(text: &str, path: &Path) -> Result<toml::Table, RecipeError> {
    from_toml(text).map_err(|error| RecipeError::Toml {
        path: path.to_owned(),
        error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_a_recipe_take_the_place_of_its_base() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let base = write(
            "large.toml",
            "name = 'large'\n[encoder]\nwide = 8\ndeep = 2\n[text]\nmodel = 'm'\n",
        );
        let text = read(&write(
            "small.toml",
            "base = 'large.toml'\nname = 'small'\n[encoder]\nwide = 2\n",
        ));
        let expected = "name = 'small'\n[encoder]\nwide = 2\n[text]\nmodel = 'm'\n";
        let table = |text: &str| text.parse::<toml::Table>().unwrap();
        assert_eq!(table(&text.unwrap()), table(expected));
        assert_eq!(
            read(&base).unwrap(),
            std::fs::read_to_string(&base).unwrap()
        );
        let error = read(&write("third.toml", "base = 'small.toml'")).unwrap_err();
        assert!(
            error.to_string().ends_with("has a base of its own"),
            "{error}"
        );
        let error = read(&write("fourth.toml", "base = 4")).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("base is 4, expected a file's name"),
            "{error}"
        );
        assert!(read(&write("fifth.toml", "base = 'no.toml'")).is_err());
    }
}
