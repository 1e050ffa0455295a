//! The commit at which a recipe is.

use std::path::Path;
use std::process::Command;

/// The commit of the git repository that a file is in, with `-dirty` behind it if files of that repository
/// are not as committed. None if it is in no repository, was never added to it, or git is not there to ask.
#[must_use]
pub fn commit_of(file: &Path) -> Option<String> {
    let file = file.canonicalize().ok()?;
    let (dir, name) = (file.parent()?, file.file_name()?);
    let git = || {
        let mut git = Command::new("git");
        // In a hook these name a repository that the file need not be in.
        for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
            git.env_remove(variable);
        }
        git.env("GIT_OPTIONAL_LOCKS", "0").arg("-C").arg(dir);
        git
    };
    let mut listed = git();
    listed.args(["ls-files", "--error-unmatch", "--"]).arg(name);
    output(&mut listed)?;
    // A hash alone, whatever tags there are.
    output(git().args([
        "describe",
        "--always",
        "--dirty",
        "--abbrev=40",
        "--exclude=*",
    ]))
}

fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{Facts, RunDir};

    /// A folder and git in it; none, and said so, if there is no git.
    fn repository() -> Option<(tempfile::TempDir, impl Fn(&[&str]) -> String)> {
        if Command::new("git").arg("--version").output().is_err() {
            eprintln!("skipped: there is no git");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_owned();
        let git = move |args: &[&str]| {
            let mut git = Command::new("git");
            git.env_remove("GIT_DIR").arg("-C").arg(&path);
            for setting in ["user.name=A", "user.email=a@b.c", "commit.gpgsign=false"] {
                git.args(["-c", setting]);
            }
            output(git.args(args)).expect("git does as it is told")
        };
        git(&["init", "-q"]);
        std::fs::write(dir.path().join("r.toml"), "a").unwrap();
        Some((dir, git))
    }

    #[test]
    fn a_file_is_at_the_last_commit_of_its_repository_if_it_is_in_it() {
        let Some((dir, git)) = repository() else {
            return;
        };
        let recipe = dir.path().join("r.toml");
        assert_eq!(commit_of(&recipe), None, "not added");
        git(&["add", "r.toml"]);
        git(&["commit", "-q", "-m", "first"]);
        git(&["tag", "-a", "-m", "first", "v1"]);
        let head = git(&["rev-parse", "HEAD"]);
        assert_eq!(commit_of(&recipe).as_ref(), Some(&head));
        std::fs::write(&recipe, "b").unwrap();
        assert_eq!(commit_of(&recipe), Some(format!("{head}-dirty")));
        assert_eq!(commit_of(&dir.path().join("s.toml")), None, "not there");
    }

    #[test]
    fn a_training_keeps_the_commit_that_it_was_begun_at() {
        let Some((dir, git)) = repository() else {
            return;
        };
        let (recipe, out) = (dir.path().join("r.toml"), dir.path().join("run"));
        let commit = || {
            git(&["add", "r.toml"]);
            git(&["commit", "-q", "--allow-empty", "-m", "next"]);
            git(&["rev-parse", "HEAD"])
        };
        let begin = |anew| {
            let run = RunDir::begin(&out, &recipe, &[], &Facts::default(), anew).unwrap();
            run.commit().unwrap()
        };
        assert_eq!(begin(false), None, "the recipe was not added yet");
        let first = commit();
        assert_eq!(begin(false), None, "it was begun before");
        assert_eq!(begin(true), Some(first.clone()));
        let second = commit();
        assert_eq!(begin(false), Some(first), "it goes on");
        assert_eq!(begin(true), Some(second));
    }
}
