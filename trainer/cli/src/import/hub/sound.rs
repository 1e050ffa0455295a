//! What extractors of features of sounds say, as a front end.

use anyhow::{bail, ensure};
use sensorium_core::feature::{
    Extent, FrontEnd, Log, LogMelSpec, Longer, MelNorm, MelScale, Padding, SoundAxes, Spectrum,
    Standardise, WaveAxes, WaveSpec, WindowKind,
};

use super::keys::Keys;

/// The kinds of extractors that are known.
pub const KINDS: [&str; 4] = [CLAP, AST, WHISPER, WAV2VEC2];
const CLAP: &str = "ClapFeatureExtractor";
const AST: &str = "ASTFeatureExtractor";
const WHISPER: &str = "WhisperFeatureExtractor";
const WAV2VEC2: &str = "Wav2Vec2FeatureExtractor";

/// Clips of nets that take samples, as many as there are, where nothing is said: those of live sound.
pub const CLIP_S: f64 = 2.0;

/// Samples of a frame of AST's, whatever the rate, of its transform, and from one frame to the next.
const AST_WINDOW: usize = 400;
const AST_FFT: usize = 512;
const AST_HOP: usize = 160;

/// The front end of an extractor's file.
///
/// # Errors
///
/// An extractor of another kind, a key that is not understood, or one that asks for what no front end
/// does.
pub fn front_end(mut keys: Keys) -> anyhow::Result<FrontEnd> {
    let place = keys.place().to_owned();
    let Some(kind) = keys.take::<String>("feature_extractor_type")? else {
        bail!("{place} has no \"feature_extractor_type\", expected one of {KINDS:?}");
    };
    let front_end = match kind.as_str() {
        CLAP => FrontEnd::LogMel(clap(&mut keys)?),
        AST => FrontEnd::LogMel(ast(&mut keys)?),
        WHISPER => FrontEnd::LogMel(whisper(&mut keys)?),
        WAV2VEC2 => FrontEnd::Wave(wav2vec2(&mut keys)?),
        _ => bail!("{place}: extractor {kind:?} is not known, expected one of {KINDS:?}"),
    };
    // Attention masks are of frames that no clip has; padding is what the kind does, whatever these say.
    keys.pass(&[
        "processor_class",
        "return_attention_mask",
        "return_tensors",
        "padding_value",
        "padding_side",
    ]);
    keys.finish()?;
    Ok(front_end)
}

/// CLAP's: decibels of power, frames centred. A longer sound is embedded clip by clip, where the
/// extractor takes a part at random.
fn clap(keys: &mut Keys) -> anyhow::Result<LogMelSpec> {
    let rate_hz = keys.take("sampling_rate")?.unwrap_or(48_000u32);
    let clip_s = keys.take("max_length_s")?.unwrap_or(10.0);
    let fft = keys.take("fft_window_size")?.unwrap_or(1024usize);
    let hop = keys.take("hop_length")?.unwrap_or(480usize);
    let mels = keys.take("feature_size")?.unwrap_or(64usize);
    let f_min_hz = keys.take("frequency_min")?.unwrap_or(0.0);
    let f_max_hz = keys.take("frequency_max")?.unwrap_or(14_000.0);
    let place = keys.place().to_owned();
    let truncation: Option<String> = keys.take("truncation")?;
    let truncation = truncation.unwrap_or_else(|| "fusion".to_owned());
    ensure!(
        truncation == "rand_trunc",
        "{place}: \"truncation\" is {truncation:?}, expected \"rand_trunc\": fusion of several views \
         of a sound is not known here"
    );
    let padding: Option<String> = keys.take("padding")?;
    let padding = match padding.as_deref() {
        None | Some("repeatpad") => Padding::RepeatPad,
        Some("repeat") => Padding::Repeat,
        Some("pad") => Padding::Zero,
        Some(other) => bail!(
            "{place}: \"padding\" is {other:?}, expected \"repeatpad\", \"repeat\" or \"pad\""
        ),
    };
    ensure!(hop > 0, "{place}: \"hop_length\" is 0");
    // What follows from the others, and what the extractor keeps without ever using it.
    keys.pass(&["nb_frequency_bins", "nb_max_samples", "top_db"]);
    let samples = (clip_s * f64::from(rate_hz)).round() as usize;
    Ok(LogMelSpec {
        rate_hz,
        clip_s,
        padding,
        longer: Longer::Windows,
        remove_mean: Vec::new(),
        pre_emphasis: 0.0,
        pre_emphasis_of: Extent::Frame,
        fft,
        window: fft,
        window_kind: WindowKind::HannPeriodic,
        hop,
        centred: true,
        spectrum: Spectrum::Power,
        mels,
        f_min_hz,
        f_max_hz,
        mel_scale: MelScale::Slaney,
        mel_norm: MelNorm::Slaney,
        log: Log::Db,
        log_floor: Some(1e-10),
        log_offset: None,
        log_range: None,
        frames: 1 + samples / hop,
        offset: 0.0,
        scale: 1.0,
        axes: SoundAxes::ChannelFrameMel,
        thirds: false,
    })
}

/// AST's: kaldi's filter bank, cut or filled with zeros, then standardised by twice the deviation.
fn ast(keys: &mut Keys) -> anyhow::Result<LogMelSpec> {
    let rate_hz = keys.take("sampling_rate")?.unwrap_or(16_000u32);
    let mels = keys.take("num_mel_bins")?.unwrap_or(128usize);
    let frames = keys.take("max_length")?.unwrap_or(1024usize);
    let mean = keys.take("mean")?.unwrap_or(-4.267_739_3);
    let std = keys.take("std")?.unwrap_or(4.568_997_4);
    let (offset, scale) = match keys.take("do_normalize")?.unwrap_or(true) {
        true => (-mean, 2.0 * std),
        false => (0.0, 1.0),
    };
    keys.only("feature_size", 1)?;
    ensure!(
        (1..1 << 20).contains(&frames),
        "{}: \"max_length\" is {frames}, expected 1 to 1048575",
        keys.place()
    );
    let samples = (frames - 1) * AST_HOP + AST_WINDOW;
    Ok(LogMelSpec {
        rate_hz,
        clip_s: samples as f64 / f64::from(rate_hz),
        padding: Padding::None,
        longer: Longer::Cut,
        remove_mean: vec![Extent::Frame],
        pre_emphasis: 0.97,
        pre_emphasis_of: Extent::Frame,
        fft: AST_FFT,
        window: AST_WINDOW,
        window_kind: WindowKind::Hann,
        hop: AST_HOP,
        centred: false,
        spectrum: Spectrum::Power,
        mels,
        f_min_hz: 20.0,
        f_max_hz: f64::from(rate_hz / 2),
        mel_scale: MelScale::Kaldi,
        mel_norm: MelNorm::None,
        log: Log::Ln,
        log_floor: Some(f64::from(f32::EPSILON)),
        log_offset: None,
        log_range: None,
        frames,
        offset,
        scale,
        axes: SoundAxes::FrameMel,
        thirds: false,
    })
}

/// Whisper's: common logarithms of power, frames centred, not more than 8 below the loudest; what is
/// longer is cut, what is shorter filled with silence.
fn whisper(keys: &mut Keys) -> anyhow::Result<LogMelSpec> {
    let rate_hz = keys.take("sampling_rate")?.unwrap_or(16_000u32);
    let clip_s = keys.take("chunk_length")?.unwrap_or(30.0);
    let fft = keys.take("n_fft")?.unwrap_or(400usize);
    let hop = keys.take("hop_length")?.unwrap_or(160usize);
    let mels = keys.take("feature_size")?.unwrap_or(80usize);
    let place = keys.place().to_owned();
    ensure!(hop > 0, "{place}: \"hop_length\" is 0");
    let dither = keys.take("dither")?.unwrap_or(0.0);
    ensure!(
        dither == 0.0,
        "{place}: \"dither\" is {dither}, expected 0: noise is not added here"
    );
    // What follows from the others, and the filters, which older files list.
    keys.pass(&["n_samples", "nb_max_frames", "mel_filters"]);
    let samples = (clip_s * f64::from(rate_hz)).round() as usize;
    Ok(LogMelSpec {
        rate_hz,
        clip_s,
        padding: Padding::Zero,
        longer: Longer::Cut,
        remove_mean: Vec::new(),
        pre_emphasis: 0.0,
        pre_emphasis_of: Extent::Frame,
        fft,
        window: fft,
        window_kind: WindowKind::HannPeriodic,
        hop,
        centred: true,
        spectrum: Spectrum::Power,
        mels,
        f_min_hz: 0.0,
        f_max_hz: 8_000.0,
        mel_scale: MelScale::Slaney,
        mel_norm: MelNorm::Slaney,
        log: Log::Log10,
        log_floor: Some(1e-10),
        log_offset: None,
        log_range: Some(8.0),
        // The last one is left out.
        frames: samples / hop,
        offset: 4.0,
        scale: 4.0,
        axes: SoundAxes::MelFrame,
        thirds: false,
    })
}

/// Those of wav2vec 2.0, HuBERT, WavLM and others that take samples: standardised or not, and padded with
/// silence, which counts unless the net has a mask.
fn wav2vec2(keys: &mut Keys) -> anyhow::Result<WaveSpec> {
    let rate_hz = keys.take("sampling_rate")?.unwrap_or(16_000u32);
    let is_standardised = keys.take("do_normalize")?.unwrap_or(true);
    let is_masked: Option<bool> = keys.take("return_attention_mask")?;
    keys.only("feature_size", 1)?;
    let padding: f64 = keys.take("padding_value")?.unwrap_or(0.0);
    ensure!(
        padding == 0.0,
        "{}: \"padding_value\" is {padding}, expected 0: nothing else is known here",
        keys.place()
    );
    let over = match is_masked {
        Some(true) => Standardise::Sound,
        _ => Standardise::Clip,
    };
    Ok(WaveSpec {
        rate_hz,
        clip_s: CLIP_S,
        padding: Padding::Zero,
        longer: Longer::Windows,
        standardise: is_standardised.then_some(over),
        gain: 1.0,
        axes: WaveAxes::Sample,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sensorium_core::feature::SoundFrontEnd;
    use serde_json::{Value, json};

    fn made(value: Value) -> anyhow::Result<FrontEnd> {
        front_end(Keys::of("file".to_owned(), value)?)
    }

    fn read(value: Value) -> anyhow::Result<LogMelSpec> {
        match made(value)? {
            FrontEnd::LogMel(spec) => Ok(spec),
            other => bail!("it is of kind {:?}", other.kind()),
        }
    }

    #[test]
    fn extractors_are_read_with_the_defaults_of_their_kind() {
        let clap = read(json!({
            "feature_extractor_type": "ClapFeatureExtractor", "truncation": "rand_trunc",
            "padding": "repeat", "sampling_rate": 32000, "max_length_s": 2, "hop_length": 320,
            "fft_window_size": 800, "feature_size": 32, "frequency_min": 20, "top_db": null,
            "nb_max_samples": 64000, "padding_side": "right"
        }))
        .unwrap();
        assert_eq!((clap.frames, clap.fft, clap.window), (201, 800, 800));
        assert_eq!((clap.padding, clap.f_max_hz), (Padding::Repeat, 14_000.0));
        let front_end = SoundFrontEnd::new(&clap).unwrap();
        assert_eq!(front_end.output_shape(), [1, 201, 32]);
        let ast = read(json!({
            "feature_extractor_type": "ASTFeatureExtractor", "max_length": 64, "num_mel_bins": 40,
            "mean": -1.0, "std": 2.0
        }))
        .unwrap();
        assert_eq!((ast.offset, ast.scale), (1.0, 4.0));
        let front_end = SoundFrontEnd::new(&ast).unwrap();
        assert_eq!(front_end.output_shape(), [64, 40]);
        // A clip fills all frames, and no more.
        assert_eq!(front_end.clip_samples(), 63 * 160 + 400);
        let plain = json!({"feature_extractor_type": "ASTFeatureExtractor", "do_normalize": false});
        let plain = read(plain).unwrap();
        assert_eq!((plain.offset, plain.scale), (0.0, 1.0));
        let whisper = json!({
            "feature_extractor_type": "WhisperFeatureExtractor", "chunk_length": 2, "dither": 0.0,
            "n_samples": 32000, "nb_max_frames": 200, "mel_filters": [[0.0]], "feature_size": 64
        });
        let whisper = SoundFrontEnd::new(&read(whisper).unwrap()).unwrap();
        assert_eq!(whisper.output_shape(), [64, 200]);
        assert_eq!(whisper.starts(100_000), [0]);
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name() {
        let error = |kind: &str, key: &str, value: Value| {
            let mut file = json!({"feature_extractor_type": kind, "truncation": "rand_trunc"});
            file[key] = value;
            format!("{:#}", read(file).unwrap_err())
        };
        let clap = |key, value| error("ClapFeatureExtractor", key, value);
        assert!(clap("truncation", json!("fusion")).contains("\"truncation\" is \"fusion\""));
        assert!(clap("padding", json!("mirror")).contains("\"padding\" is \"mirror\""));
        assert!(clap("dither", json!(0.1)).contains("key \"dither\" is not understood"));
        assert!(clap("hop_length", json!(0)).contains("\"hop_length\" is 0"));
        let ast = |key, value| error("ASTFeatureExtractor", key, value);
        assert!(ast("feature_size", json!(2)).contains("\"feature_size\" is 2"));
        assert!(ast("max_length", json!(0)).contains("\"max_length\" is 0"));
        assert!(ast("x", json!(0)).contains("\"truncation\" is not understood"));
        let noise = json!({"feature_extractor_type": "WhisperFeatureExtractor", "dither": 0.1});
        assert!(format!("{:#}", read(noise).unwrap_err()).contains("\"dither\" is 0.1"));
        let other = error("EncodecFeatureExtractor", "x", json!(0));
        assert!(other.contains("\"EncodecFeatureExtractor\" is not known, expected one of"));
        let padded = json!({"feature_extractor_type": WAV2VEC2, "padding_value": 0.5});
        let padded = format!("{:#}", made(padded).unwrap_err());
        assert!(padded.contains("\"padding_value\" is 0.5"), "{padded}");
    }

    #[test]
    fn nets_that_take_samples_have_them_standardised_as_their_extractor_says() {
        let standardised = |key: &str, value: bool| {
            let mut file = json!({
                "feature_extractor_type": "Wav2Vec2FeatureExtractor", "feature_size": 1,
                "padding_side": "right", "padding_value": 0.0, "sampling_rate": 8000
            });
            file[key] = value.into();
            match made(file).unwrap() {
                FrontEnd::Wave(spec) => {
                    assert_eq!((spec.rate_hz, spec.padding), (8000, Padding::Zero));
                    spec.standardise
                }
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(standardised("do_normalize", false), None);
        assert_eq!(standardised("do_normalize", true), Some(Standardise::Clip));
        let masked = standardised("return_attention_mask", true);
        assert_eq!(masked, Some(Standardise::Sound));
    }
}
