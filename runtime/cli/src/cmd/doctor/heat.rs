//! How hot the machine is, against where it slows itself down.

use super::Check;
use super::machine::Machine;

/// Where sensors of temperature are.
const ZONES: &str = "/sys/class/thermal";

/// Where machines slow down that do not say.
const USUAL_LIMIT_C: f64 = 80.0;

/// So near a limit it is as good as reached, on a warmer day.
const MARGIN_C: f64 = 5.0;

/// Highest temperature of a machine that works; what reads more is no sensor.
const HOTTEST_C: f64 = 150.0;

/// One sensor.
#[derive(Debug, Clone, PartialEq)]
struct Zone {
    name: String,
    now_c: f64,
    /// Where it slows down.
    passive_c: f64,
    /// Where it stops.
    critical_c: Option<f64>,
}

impl Zone {
    /// Degrees to its limit.
    fn left_c(&self) -> f64 {
        self.passive_c - self.now_c
    }
}

/// Looks at the sensor that is nearest to its limit.
pub fn check(machine: &Machine) -> Check {
    const WHAT: &str = "temperature";
    let names = machine.names(ZONES, |name| name.starts_with("thermal_zone"));
    let zones = names.iter().filter_map(|name| zone(machine, name));
    let Some(zone) = zones.min_by(|a, b| a.left_c().total_cmp(&b.left_c())) else {
        return Check::good(WHAT, "nothing measures it");
    };
    let Zone {
        name,
        now_c,
        passive_c,
        critical_c,
    } = &zone;
    let found = format!("{name} is at {now_c:.1} °C and slows down at {passive_c:.0} °C");
    let fix = "give it a heat sink or a fan, or less to do: --cores 0.5";
    if critical_c.is_some_and(|critical_c| now_c + MARGIN_C >= critical_c) {
        return Check::bad(WHAT, found, fix);
    }
    if zone.left_c() <= MARGIN_C {
        return Check::note(WHAT, found, fix);
    }
    Check::good(WHAT, found)
}

fn zone(machine: &Machine, name: &str) -> Option<Zone> {
    let read = |file: &str| machine.read(&format!("{ZONES}/{name}/{file}"));
    let celsius = |file: &str| -> Option<f64> {
        let millis: f64 = read(file)?.parse().ok()?;
        Some(millis / 1000.0)
    };
    let now_c = celsius("temp").filter(|c| (-60.0..HOTTEST_C).contains(c))?;
    let limit = |kind: &str| {
        let mut numbers = 0..16;
        let number =
            numbers.find(|n| read(&format!("trip_point_{n}_type")).as_deref() == Some(kind))?;
        // Drivers say 0 of a limit that they do not have.
        celsius(&format!("trip_point_{number}_temp")).filter(|c| *c > 0.0)
    };
    Some(Zone {
        name: read("type").unwrap_or_else(|| name.to_owned()),
        now_c,
        passive_c: limit("passive").unwrap_or(USUAL_LIMIT_C),
        critical_c: limit("critical"),
    })
}
