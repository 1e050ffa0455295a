//! Telling a service manager how the program is: the protocol of `sd_notify(3)`, which is one datagram to
//! the socket that `NOTIFY_SOCKET` names.
//!
//! The crates for it know no abstract sockets (`@name`), which containers use, so it is written out here.

use std::env;
use std::ffi::OsStr;
use std::io;
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process;
use std::time::Duration;

use anyhow::Context;

/// A service manager, if one started the program.
#[derive(Debug)]
pub struct Manager {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Manager {
    /// The one that the environment names.
    pub fn of_environment() -> anyhow::Result<Self> {
        let socket = match env::var_os("NOTIFY_SOCKET") {
            Some(name) => {
                let opened = open(&name);
                Some(opened.with_context(|| format!("NOTIFY_SOCKET is {name:?}"))?)
            }
            None => None,
        };
        let variable = |name| env::var(name).ok();
        Ok(Self {
            socket,
            watchdog: watchdog(variable("WATCHDOG_USEC"), variable("WATCHDOG_PID")),
        })
    }

    /// Whether there is one.
    pub fn is_there(&self) -> bool {
        self.socket.is_some()
    }

    /// How long the program may be silent before it is taken to hang, if that is watched.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog.filter(|_| self.is_there())
    }

    /// Tells it something, such as `READY=1`; a line each.
    pub fn tell(&self, state: &str) -> io::Result<()> {
        let Some((socket, address)) = &self.socket else {
            return Ok(());
        };
        socket.send_to_addr(state.as_bytes(), address).map(|_| ())
    }
}

fn open(name: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match name.as_bytes() {
        #[cfg(target_os = "linux")]
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    // A manager that does not listen must not make the program wait.
    socket.set_nonblocking(true)?;
    Ok((socket, address))
}

/// The time of a watchdog that is for this process.
fn watchdog(micros: Option<String>, pid: Option<String>) -> Option<Duration> {
    let is_ours = pid.is_none_or(|pid| pid == process::id().to_string());
    let micros = micros?.parse().ok().filter(|micros| *micros > 0)?;
    is_ours.then(|| Duration::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watchdog_of_another_process_is_not_ours() {
        let text = |text: &str| Some(text.to_owned());
        let seconds = |micros, pid| watchdog(micros, pid).map(|time| time.as_secs_f64());
        assert_eq!(seconds(text("30000000"), None), Some(30.0));
        let own = process::id().to_string();
        assert_eq!(seconds(text("500000"), Some(own)), Some(0.5));
        assert_eq!(seconds(text("500000"), text("1")), None);
        assert_eq!(seconds(text("0"), None), None);
        assert_eq!(seconds(None, None), None);
    }
}
