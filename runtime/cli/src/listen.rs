//! Running streams from a command: signals, summaries, exit status.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, ensure};
use sensorium_engine::pipeline::{self, Line, Summary};
use sensorium_engine::source::csv::Recording;
use sensorium_engine::stream::{Health, Output};
use sensorium_engine::vitals::Vitals;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// What ends streams, and what shows whether they get on.
#[derive(Debug, Clone, Default)]
pub struct Control {
    /// Set, it ends them.
    pub stop: Arc<AtomicBool>,
    /// The pulses of their threads.
    pub vitals: Arc<Vitals>,
}

impl Control {
    /// One that SIGINT and SIGTERM set; a second one ends the process at once.
    pub fn of_signals() -> anyhow::Result<Self> {
        let control = Self::default();
        let register = |signal| -> io::Result<()> {
            flag::register_conditional_shutdown(signal, 2, Arc::clone(&control.stop))?;
            flag::register(signal, Arc::clone(&control.stop))?;
            Ok(())
        };
        [SIGINT, SIGTERM]
            .into_iter()
            .try_for_each(register)
            .context("handling signals")?;
        Ok(control)
    }
}

/// Runs streams until they end or are ended, and prints what became of their samples.
pub fn listen(
    lines: Vec<Line>,
    control: &Control,
    mut on_output: impl FnMut(Output) -> io::Result<()>,
) -> anyhow::Result<Vec<Summary>> {
    let (summaries, written) =
        pipeline::run_watched(lines, &control.stop, &control.vitals, |output| {
            match &output {
                Output::Health(health) => say!("{}", describe_health(health)),
                // At the end, what was queued comes faster than it was sampled: no news of the budget.
                Output::Pace { .. } if control.stop.load(Ordering::Relaxed) => {}
                Output::Pace { stream, hop_s } => {
                    say!("{stream}: a window every {hop_s} s, to keep to the budget");
                }
                Output::Window(_) | Output::Event(_) | Output::Totals { .. } => {}
            }
            on_output(output)
        });
    for summary in &summaries {
        say!("{}", describe(summary));
    }
    written.context("writing events")?;
    Ok(summaries)
}

/// 0 if every stream came to its end in order and said something, 1 if nothing was said.
pub fn exit_code(summaries: Vec<Summary>, events: u64) -> anyhow::Result<ExitCode> {
    for summary in summaries {
        let name = summary.name;
        summary.result.with_context(|| format!("stream {name:?}"))?;
    }
    Ok(if events > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

/// How often a recording was sampled, in millihertz.
pub fn rate_mhz(recording: &Recording, rate_hz: Option<f32>) -> anyhow::Result<u32> {
    if let Some(rate_hz) = rate_hz {
        return Ok((f64::from(rate_hz) * 1000.0).round() as u32);
    }
    let told = recording.rate_mhz();
    let rate_mhz = told.context("how often was it sampled? Say it as --rate-hz 50")?;
    ensure!(
        (25_000..=400_000).contains(&rate_mhz),
        "its times are {} Hz apart, expected 25 to 400 Hz",
        f64::from(rate_mhz) / 1000.0
    );
    Ok(rate_mhz)
}

fn describe_health(health: &Health) -> String {
    let stream = &health.stream;
    match health.fault {
        Some(fault) => format!("{stream}: degraded: {fault}; its events are withheld"),
        None => format!("{stream}: well again"),
    }
}

fn describe(summary: &Summary) -> String {
    let totals = &summary.totals;
    let missing = totals.windows.empty + totals.thin;
    let mut text = format!(
        "{}: {}; {} windows scored",
        summary.name,
        totals.ledger,
        totals.scored()
    );
    if missing > 0 {
        text += &format!(", {missing} not for want of samples");
    }
    if totals.blank > 0 {
        text += &format!(", {} not for want of anything to measure", totals.blank);
    }
    if totals.skipped > 0 {
        text += &format!(
            ", {} not to keep to the budget (one of {} at least)",
            totals.skipped, totals.longest_stride
        );
    }
    if totals.withheld > 0 {
        text += &format!(", {} not while it was degraded", totals.withheld);
    }
    if !totals.spent.is_zero() {
        text += &format!("; {:.1} s of processor time", totals.spent.as_secs_f64());
    }
    text
}
