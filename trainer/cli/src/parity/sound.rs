//! Spectrograms of the clips of recordings.

use anyhow::{Context, ensure};
use sensorium_core::feature::clip::ClipTimes;
use sensorium_core::feature::{LogMel, SoundFrontEnd};
use serde::Deserialize;

use super::encoders::at;
use super::folder::{Folder, Vectors};
use super::report::{Report, Tolerance};

const FILE: &str = "audio.safetensors";
const TIMES: &str = "clip_timepoints.json";

/// The rate of the reference's spectrograms, in hertz.
const RATE_HZ: u32 = 16_000;

/// Of recordings that come at the rate of the spectrogram.
const SAME_RATE: Tolerance = Tolerance::Mean(5e-6, 1e-3);

/// Of recordings at other rates.
const RESAMPLED: Tolerance = Tolerance::Mean(5e-5, 2e-3);

/// Of filters: the reference computes mels, up to 2840, in 32 bits, and divides by 22 between them.
const FILTER: Tolerance = Tolerance::Absolute(5e-5);

#[derive(Debug, Deserialize)]
struct Times {
    duration: f64,
    clips: u64,
    start_sec: Vec<f64>,
    end_sec: Vec<f64>,
    start_sample_16k: Vec<f64>,
    end_sample_16k: Vec<f64>,
}

/// Compares clip times, recordings, and the parts of the filter bank.
pub fn compare(folder: &Folder, report: &mut Report) -> anyhow::Result<()> {
    if folder.has(TIMES) {
        times(&folder.json::<Vec<Times>>(TIMES)?, report);
    }
    if !folder.has(FILE) {
        return Ok(());
    }
    let vectors = folder.vectors(FILE)?;
    for case in vectors.stems(".wave") {
        recording(&vectors, case, report).with_context(|| format!("recording {case:?}"))?;
    }
    parts(&vectors, report).context("the filter bank")
}

/// Clips of 2 s.
fn times(cases: &[Times], report: &mut Report) {
    const CLIP_S: u32 = 2;
    for (index, case) in cases.iter().enumerate() {
        let clip = u64::from(CLIP_S * RATE_HZ);
        let times = ClipTimes::new(case.duration, RATE_HZ, clip, case.clips);
        let seconds = |later: f64| -> Vec<f64> {
            (0..case.clips)
                .map(|clip| times.start_s(clip) + later)
                .collect()
        };
        let samples = |later: u64| -> Vec<f64> {
            (0..case.clips)
                .map(|clip| (times.first_sample(clip) + later) as f64)
                .collect()
        };
        let item = || format!("{TIMES}: {index}");
        let close = Tolerance::Absolute(1e-12);
        let end_s = f64::from(CLIP_S);
        report.compare(
            "clip samples",
            item(),
            &samples(0),
            &case.start_sample_16k,
            Tolerance::Exact,
        );
        report.compare(
            "clip samples",
            item(),
            &samples(clip),
            &case.end_sample_16k,
            Tolerance::Exact,
        );
        report.compare("clip times", item(), &seconds(0.0), &case.start_sec, close);
        report.compare("clip times", item(), &seconds(end_s), &case.end_sec, close);
    }
}

/// From samples at any rate to the spectrograms of three clips.
fn recording(vectors: &Vectors, case: &str, report: &mut Report) -> anyhow::Result<()> {
    let part = |part: &str| format!("{case}.{part}");
    let expected = vectors.get(&part("mel"))?;
    let rate_hz = vectors.get(&part("sr"))?.scalar()?;
    ensure!((1.0..1e7).contains(&rate_hz), "a rate of {rate_hz}");
    let rate_hz = rate_hz as u32;
    let channels = channels(vectors, case)?;
    let reference = SoundFrontEnd::reference();
    let heard = channels
        .iter()
        .map(|channel| reference.resample(channel, rate_hz))
        .collect::<Result<Vec<_>, _>>()?;
    let views: Vec<&[f32]> = heard.iter().map(Vec::as_slice).collect();
    let [clips, 1, filters, frames] = expected.shape[..] else {
        anyhow::bail!("its spectrogram has shape {:?}", expected.shape);
    };
    ensure!(
        filters * frames == reference.output_len(),
        "its spectrogram has shape {:?}",
        expected.shape
    );
    let actual = LogMel::reference().clips(&views, clips)?;
    let tolerance = if rate_hz == RATE_HZ {
        SAME_RATE
    } else {
        RESAMPLED
    };
    let actual: Vec<f64> = actual.into_iter().map(f64::from).collect();
    report.compare(
        "spectrogram",
        at(FILE, &part("mel")),
        &actual,
        &expected.values,
        tolerance,
    );
    report.same("input", at(FILE, &part("wave")), true);
    report.same("input", at(FILE, &part("sr")), true);
    Ok(())
}

fn channels(vectors: &Vectors, case: &str) -> anyhow::Result<Vec<Vec<f32>>> {
    let wave = vectors.get(&format!("{case}.wave"))?;
    let [channels, len] = wave.shape[..] else {
        anyhow::bail!("it has shape {:?}, expected 2 axes", wave.shape);
    };
    ensure!(channels > 0 && len > 0, "it has shape {:?}", wave.shape);
    Ok(wave
        .to_f32()
        .chunks_exact(len)
        .map(<[f32]>::to_vec)
        .collect())
}

/// The window, the filters, and what they give for a recording's first second.
fn parts(vectors: &Vectors, report: &mut Report) -> anyhow::Result<()> {
    let reference = LogMel::reference();
    for (name, vector) in vectors.iter() {
        let Some(kind) = name.strip_prefix("debug.") else {
            continue;
        };
        let item = at(FILE, name);
        if kind.starts_with("hanning") {
            let close = Tolerance::Absolute(1e-6);
            let window = reference.window();
            report.compare("window", item, window, &vector.values, close);
        } else if kind.starts_with("mel_matrix") {
            // The reference has no weights for the bin at the Nyquist rate.
            let bank = reference.bank();
            let bins = reference.spec().fft / 2;
            let weights: Vec<f64> = (0..bank.filters())
                .flat_map(|filter| bank.weights(filter).into_iter().take(bins))
                .collect();
            report.compare("filters", item, &weights, &vector.values, FILTER);
        } else if kind.starts_with("fbank_1s") {
            // The file does not say of which recording; one of them it has to be.
            let worst = |actual: &[f64]| {
                let pairs = actual.iter().zip(&vector.values);
                pairs.fold(0.0f64, |worst, (a, e)| worst.max((a - e).abs()))
            };
            let mut nearest: Option<Vec<f64>> = None;
            for case in vectors.stems(".wave") {
                let channel = &channels(vectors, case)?[0];
                let second = channel.get(..RATE_HZ as usize).unwrap_or_default();
                let first = reference.log_mel(second);
                if first.len() == vector.values.len()
                    && nearest
                        .as_ref()
                        .is_none_or(|known| worst(&first) < worst(known))
                {
                    nearest = Some(first);
                }
            }
            let actual = nearest.context("no recording is a second long")?;
            // Not divided by the deviation, as spectrograms are, whose tolerance this is.
            report.compare(
                "log-mel",
                item,
                &actual,
                &vector.values,
                Tolerance::Absolute(1e-2),
            );
        }
    }
    Ok(())
}
