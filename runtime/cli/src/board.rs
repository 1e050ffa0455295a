//! Boards that something is known of: `boards/*/board.toml`.

use std::path::PathBuf;

use sensorium_engine::keys::{TomlError, from_toml};
use serde::Deserialize;

/// The files, as they were when the program was built.
const FILES: [&str; 2] = [
    include_str!("../../../boards/jetson-orin-nano/board.toml"),
    include_str!("../../../boards/raspberry-pi-5/board.toml"),
];

/// A computer that sensors are connected to.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Board {
    /// As people call it.
    pub name: String,
    /// What its device tree calls it begins so.
    pub model: String,
    /// What computes.
    pub processor: String,
    /// Cores of it.
    pub cores: u32,
    /// Memory that it is sold with.
    pub memory_gib: Vec<u32>,
    /// What the program is built for.
    pub target: String,
    /// Whether what is said here was tried on one.
    pub run_on_hardware: bool,
    /// What to know of it.
    pub quirks: Vec<String>,
    /// Where sensors are connected.
    #[serde(rename = "bus")]
    pub buses: Vec<Bus>,
}

/// A connector.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bus {
    /// `serial` or `i2c`.
    pub kind: String,
    /// Its device.
    pub path: PathBuf,
    /// Where it is on the board.
    pub pins: String,
    /// What to do where the device is not there.
    pub fix: String,
}

/// All boards.
pub fn boards() -> Result<Vec<Board>, TomlError> {
    FILES.into_iter().map(from_toml).collect()
}

/// The board of a machine, by what its device tree calls it.
pub fn find(model: &str) -> Result<Option<Board>, TomlError> {
    let mut boards = boards()?.into_iter();
    Ok(boards.find(|board| model.starts_with(&board.model)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    use crate::cmd::doctor::device::KINDS;

    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../boards")
    }

    #[test]
    fn every_board_file_is_read_and_makes_sense() {
        let is_board = |name: &str| folder().join(name).join("board.toml").exists();
        let entries = fs::read_dir(folder()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let names: Vec<String> = names.filter(|name| is_board(name)).collect();
        assert_eq!(names.len(), FILES.len(), "{names:?}");
        for name in names {
            let text = fs::read_to_string(folder().join(&name).join("board.toml")).unwrap();
            let board: Board = from_toml(&text).unwrap();
            assert!(boards().unwrap().contains(&board), "{name}");
            assert!((1..=64).contains(&board.cores), "{name}");
            assert!(board.memory_gib.is_sorted() && !board.memory_gib.is_empty());
            assert_eq!(board.target, "aarch64-unknown-linux-gnu");
            assert!(!board.buses.is_empty() && !board.quirks.is_empty());
            for bus in &board.buses {
                assert!(KINDS.iter().any(|kind| kind.name == bus.kind), "{bus:?}");
                assert!(
                    bus.path.starts_with("/dev") && !bus.fix.is_empty(),
                    "{bus:?}"
                );
            }
            let readme = fs::read_to_string(folder().join(&name).join("README.md")).unwrap();
            assert_eq!(
                readme.contains("**Not run on hardware.**"),
                !board.run_on_hardware
            );
            assert_eq!(
                find(&format!("{} Rev 1.0", board.model)).unwrap(),
                Some(board)
            );
        }
    }

    #[test]
    fn the_service_may_use_what_boards_have() {
        let read = |name: &str| fs::read_to_string(folder().join("linux").join(name)).unwrap();
        let (unit, users, rules) = (
            read("sensorium.service"),
            read("sensorium.sysusers"),
            read("60-sensorium.rules"),
        );
        let groups = unit
            .lines()
            .find_map(|line| line.strip_prefix("SupplementaryGroups="));
        for group in groups.unwrap().split(' ') {
            assert!(users.contains(&format!("m sensorium {group}\n")), "{group}");
            assert!(rules.contains(&format!("GROUP=\"{group}\"")), "{group}");
        }
        for bus in boards().unwrap().iter().flat_map(|board| &board.buses) {
            let name = bus.path.file_name().unwrap().to_str().unwrap();
            let driver = match name.strip_prefix("tty") {
                Some(name) => format!("tty{}", name.trim_end_matches(char::is_numeric)),
                None => "i2c".to_owned(),
            };
            assert!(
                unit.contains(&format!("DeviceAllow=char-{driver} rw")),
                "{bus:?}"
            );
        }
        let run = unit
            .lines()
            .find_map(|line| line.strip_prefix("ExecStart="));
        let mut words = run.unwrap().split(' ').skip(1);
        assert_eq!(words.next(), Some("run"));
        assert!(
            words.all(
                |word| ["--config", "--json", "/etc/sensorium/sensorium.toml"].contains(&word)
            )
        );
    }
}
