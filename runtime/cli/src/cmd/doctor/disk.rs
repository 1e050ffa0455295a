//! Whether what is written has room.

use std::path::Path;

use rustix::fs::{Access, StatVfsMountFlags, access, statvfs};

use super::Check;

const MIB: u64 = 1 << 20;

/// Less is as good as none: a day of events of a busy street.
const LEAST: u64 = 100 * MIB;

/// With less it is time to look.
const ENOUGH: u64 = 1024 * MIB;

/// Room on a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Room {
    free: u64,
    is_read_only: bool,
    may_write: bool,
}

/// Looks at the folder that files are written to.
pub fn check(folder: &Path) -> Check {
    let what = format!("room in {}", folder.display());
    match statvfs(folder) {
        Ok(found) => {
            let room = Room {
                free: found.f_bavail.saturating_mul(found.f_frsize),
                is_read_only: found.f_flag.contains(StatVfsMountFlags::RDONLY),
                may_write: access(folder, Access::WRITE_OK).is_ok(),
            };
            judge(what, room)
        }
        Err(error) => Check::bad(what, error.to_string(), "make it, or name another"),
    }
}

fn judge(what: String, room: Room) -> Check {
    let free = format!("{} MiB", room.free / MIB);
    let elsewhere = "sensing goes on; for files name a folder that can be written, such as /run";
    if room.is_read_only {
        return Check::note(what, "the file system is read-only", elsewhere);
    }
    if !room.may_write {
        return Check::note(what, "you may not write there", elsewhere);
    }
    match room.free {
        0..LEAST => Check::bad(
            what,
            free,
            "delete what is not needed; sensing goes on without files",
        ),
        LEAST..ENOUGH => Check::note(what, free, "delete what is not needed before it is full"),
        _ => Check::good(what, free),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_before_it_is_full() {
        let room = |mib: u64, is_read_only, may_write| {
            let room = Room {
                free: mib * MIB,
                is_read_only,
                may_write,
            };
            let check = judge("room".into(), room);
            (check.ok, check.fix.is_some())
        };
        assert_eq!(room(99, false, true), (false, true));
        assert_eq!(room(1023, false, true), (true, true));
        assert_eq!(room(1024, false, true), (true, false));
        assert_eq!(room(5000, true, true), (true, true));
        assert_eq!(room(5000, false, false), (true, true));
    }
}
