//! Devices that sensors are on: which there are, and whether they may be used.

use super::Check;
use super::machine::{Access, Machine};

/// A kind of device.
pub struct Kind {
    /// What it is.
    pub name: &'static str,
    /// Where such devices are.
    folder: &'static str,
    fits: fn(&str) -> bool,
    /// How one comes to be there.
    how: &'static str,
}

/// All kinds.
pub const KINDS: [Kind; 4] = [
    Kind {
        name: "serial",
        folder: "/dev",
        fits: |name| {
            let kinds = ["ttyACM", "ttyUSB", "ttyAMA", "ttyTHS"];
            kinds.iter().any(|kind| is_numbered(name, kind))
        },
        how: "a node on USB is /dev/ttyACM0 or /dev/ttyUSB0 once it is plugged in",
    },
    Kind {
        name: "i2c",
        folder: "/dev",
        fits: |name| is_numbered(name, "i2c-"),
        how: "sudo modprobe i2c-dev shows the buses that there are",
    },
    Kind {
        name: "video",
        folder: "/dev",
        fits: |name| is_numbered(name, "video"),
        how: "a camera on USB is /dev/video0 once it is plugged in",
    },
    Kind {
        name: "sound",
        folder: "/dev/snd",
        fits: |name| name.starts_with("pcmC") && name.ends_with('c'),
        how: "arecord -l lists microphones once one is plugged in",
    },
];

fn is_numbered(name: &str, kind: &str) -> bool {
    let number = name.strip_prefix(kind);
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

/// Looks at the devices of a kind. None of them need be there, nor be used: what is amiss is a note.
pub fn check(kind: &Kind, machine: &Machine) -> Check {
    let names = machine.names(kind.folder, kind.fits);
    let paths: Vec<String> = { names.iter() }
        .map(|name| format!("{}/{name}", kind.folder))
        .collect();
    let denied = paths.iter().find_map(|path| match machine.access(path) {
        Access::Denied { fix } => Some((path, fix)),
        Access::Granted | Access::Absent => None,
    });
    match denied {
        _ if paths.is_empty() => Check::note(kind.name, "no device", kind.how),
        Some((path, fix)) => {
            let found = format!("{}: you may not use {path}", paths.join(", "));
            Check::note(kind.name, found, fix)
        }
        None => Check::good(kind.name, paths.join(", ")),
    }
}
