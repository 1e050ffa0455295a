//! A machine, as its files show it.

use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A machine below a folder: `/`, or a tree that looks like it.
#[derive(Debug)]
pub struct Machine {
    root: PathBuf,
    user: User,
}

/// Who runs the program.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct User {
    uid: u32,
    groups: Vec<u32>,
    name: Option<String>,
}

/// Whether a device may be read and written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// It is not there.
    Absent,
    /// It may.
    Granted,
    /// It may not; with what would change that.
    Denied {
        /// What to do.
        fix: String,
    },
}

impl Machine {
    /// The machine whose `/` is at `root`.
    pub fn at(root: &Path) -> Self {
        let mut machine = Self {
            root: root.to_owned(),
            user: User::default(),
        };
        let status = machine.read("/proc/self/status").unwrap_or_default();
        machine.user = User::of_status(&status);
        let users = machine.read("/etc/passwd").unwrap_or_default();
        machine.user.name = name_of(&users, machine.user.uid);
        machine
    }

    /// Where a path of the machine is.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// The text of a file, without blanks around it; none if there is none.
    pub fn read(&self, path: &str) -> Option<String> {
        let bytes = fs::read(self.path(path)).ok()?;
        let text = String::from_utf8_lossy(&bytes);
        Some(text.trim_matches([' ', '\n', '\0']).to_owned())
    }

    /// Whether there is such a file.
    pub fn has(&self, path: &str) -> bool {
        self.path(path).exists()
    }

    /// Names in a folder that fit, in order of their length and letters: `video2` before `video10`.
    pub fn names(&self, folder: &str, fits: impl Fn(&str) -> bool) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).into_iter().flatten();
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| fits(name))
            .collect();
        names.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
        names
    }

    /// Whether the user may read and write a device.
    pub fn access(&self, path: &str) -> Access {
        let metadata = match fs::metadata(self.path(path)) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound => return Access::Absent,
            Err(error) => {
                let fix = format!("{path}: {error}");
                return Access::Denied { fix };
            }
        };
        if self.user.may(&metadata) {
            return Access::Granted;
        }
        let fix = self.fix(&metadata);
        Access::Denied { fix }
    }

    /// How the user comes to a device.
    fn fix(&self, metadata: &Metadata) -> String {
        let groups = self.read("/etc/group").unwrap_or_default();
        let group = name_of(&groups, metadata.gid());
        let is_open_to_group = metadata.mode() & 0o060 == 0o060 && metadata.gid() != 0;
        match group.filter(|_| is_open_to_group) {
            Some(group) => {
                let user = self.user.name.as_deref().unwrap_or("$USER");
                format!("sudo usermod -aG {group} {user}, and log in again")
            }
            None => {
                "no group may use it: copy boards/linux/60-sensorium.rules to /etc/udev/rules.d/, \
                     then sudo udevadm control --reload && sudo udevadm trigger"
                    .to_owned()
            }
        }
    }
}

impl User {
    /// From `/proc/self/status`.
    fn of_status(status: &str) -> Self {
        let numbers = |key: &str| -> Vec<u32> {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            let words = line.unwrap_or_default().split_whitespace();
            words.filter_map(|word| word.parse().ok()).collect()
        };
        // Of four ids of each kind, the second is the one that counts.
        let effective = |key| numbers(key).get(1).copied();
        let mut groups = numbers("Groups:");
        groups.extend(effective("Gid:"));
        Self {
            uid: effective("Uid:").unwrap_or(u32::MAX),
            groups,
            name: None,
        }
    }

    fn may(&self, metadata: &Metadata) -> bool {
        let mode = metadata.mode();
        let is_open_to = |bits: u32| mode & bits == bits;
        match () {
            () if self.uid == 0 => true,
            () if self.uid == metadata.uid() => is_open_to(0o600),
            () if self.groups.contains(&metadata.gid()) => is_open_to(0o060),
            () => is_open_to(0o006),
        }
    }
}

/// The name of an id in `/etc/passwd` or `/etc/group`.
fn name_of(lines: &str, id: u32) -> Option<String> {
    lines.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let is_it = fields.nth(1)?.parse() == Ok(id);
        is_it.then(|| name.to_owned())
    })
}
