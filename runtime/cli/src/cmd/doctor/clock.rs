//! Whether the time of events is the time of the world.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use super::Check;
use super::machine::Machine;

/// No clock that is right shows less: the day this program was begun, in seconds since 1970.
const BUILT_AFTER_S: u64 = 1_763_000_000;

/// What systemd-timesyncd leaves once it knows the time.
const SYNCHRONISED: &str = "/run/systemd/timesync/synchronized";

/// Asks systemd, which asks the kernel, whoever sets the clock.
const TIMEDATECTL: &str = "/usr/bin/timedatectl";

/// Looks at the time, at who sets it, and at what keeps it without power.
pub fn check(machine: &Machine) -> [Check; 3] {
    [
        check_time(SystemTime::now()),
        check_sync(is_synchronised(machine)),
        check_battery(machine),
    ]
}

fn check_time(now: SystemTime) -> Check {
    let now_s = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    if now_s < BUILT_AFTER_S {
        return Check::bad(
            "clock",
            format!("{now_s} s since 1970: it was never set"),
            "events are found all the same, with wrong dates: start a time service, or run with \
             --clock sample",
        );
    }
    Check::good("clock", format!("{now_s} s since 1970"))
}

fn check_sync(is_synchronised: Option<bool>) -> Check {
    const WHAT: &str = "time service";
    let fix = "sudo timedatectl set-ntp true; what events are apart is right without it";
    match is_synchronised {
        Some(true) => Check::good(WHAT, "the clock is synchronised"),
        Some(false) => Check::note(WHAT, "the clock is not synchronised", fix),
        None => Check::note(WHAT, "nothing says whether the clock is synchronised", fix),
    }
}

fn is_synchronised(machine: &Machine) -> Option<bool> {
    if machine.has(SYNCHRONISED) {
        return Some(true);
    }
    let asked = Command::new(machine.path(TIMEDATECTL))
        .args(["show", "--property", "NTPSynchronized", "--value"])
        .output()
        .ok()?;
    match asked.stdout.trim_ascii() {
        b"yes" => Some(true),
        b"no" => Some(false),
        _ => None,
    }
}

fn check_battery(machine: &Machine) -> Check {
    const WHAT: &str = "clock without power";
    match machine.names("/sys/class/rtc", |_| true).first() {
        Some(name) => Check::good(WHAT, format!("{name} goes on, if it has a battery")),
        None => Check::note(
            WHAT,
            "it stands still",
            "after a power cut events have wrong dates until the time service answers; their `clock` \
             and order are right",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_clock_that_was_never_set_is_wrong() {
        let at = |s| check_time(UNIX_EPOCH + Duration::from_secs(s));
        assert!(!at(0).ok && !at(86_400).ok && at(BUILT_AFTER_S).ok);
        assert!(!check_time(UNIX_EPOCH - Duration::from_secs(1)).ok);
        assert!(check_sync(Some(true)).fix.is_none());
        assert!(check_sync(Some(false)).fix.is_some() && check_sync(None).fix.is_some());
    }
}
