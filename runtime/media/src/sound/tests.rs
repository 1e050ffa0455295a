use super::*;
use crate::damage::damage;

const OGG: &[u8] = include_bytes!("../golden/tone.ogg");
const FLAC: &[u8] = include_bytes!("../golden/tone.flac");

/// What the reference decoder makes of [`OGG`].
fn tone() -> Vec<f32> {
    let bytes = include_bytes!("../golden/tone.f32").as_chunks().0;
    bytes
        .iter()
        .map(|&value| f32::from_le_bytes(value))
        .collect()
}

/// A WAV file of integers (`format` 1) or floats (3).
fn wav(format: u16, bits: u16, channels: u16, data: &[u8]) -> Vec<u8> {
    let align = channels * bits / 8;
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((36 + data.len() as u32).to_le_bytes());
    bytes.extend(b"WAVEfmt \x10\0\0\0");
    bytes.extend([format, channels].map(u16::to_le_bytes).concat());
    bytes.extend(
        [8000, 8000 * u32::from(align)]
            .map(u32::to_le_bytes)
            .concat(),
    );
    bytes.extend([align, bits].map(u16::to_le_bytes).concat());
    bytes.extend(b"data");
    bytes.extend((data.len() as u32).to_le_bytes());
    bytes.extend(data);
    bytes
}

fn message(bytes: &[u8]) -> String {
    let error = Sound::from_bytes(bytes.to_vec()).unwrap_err();
    let source = std::error::Error::source(&error);
    source.map_or(error.to_string(), |source| format!("{error}: {source}"))
}

#[test]
fn wav_of_every_width() {
    let cases: [(u16, u16, &[u8]); 5] = [
        (1, 8, &[0, 128, 192]),
        (1, 16, &[0, 128, 0, 0, 0, 64]),
        (1, 24, &[0, 0, 128, 0, 0, 0, 0, 0, 64]),
        (1, 32, &[0, 0, 0, 128, 0, 0, 0, 0, 0, 0, 0, 64]),
        (3, 32, &[0, 0, 128, 191, 0, 0, 0, 0, 0, 0, 0, 63]),
    ];
    for (format, bits, data) in cases {
        let sound = Sound::from_bytes(wav(format, bits, 1, data)).unwrap();
        assert_eq!(sound.rate_hz, 8000);
        assert_eq!(sound.channels, [[-1.0, 0.0, 0.5]], "{bits} bits");
    }
    // Three channels of one frame each.
    let sound = Sound::from_bytes(wav(1, 8, 3, &[0, 128, 192])).unwrap();
    assert_eq!(sound.channels, [[-1.0], [0.0], [0.5]]);
    assert_eq!(sound.frames(), 1);
    assert!((sound.mono()[0] + 0.5 / 3.0).abs() < 1e-7);
}

#[test]
fn wav_as_other_programs_write_it() {
    let whole = wav(1, 16, 1, &[0, 64, 0, 192]);
    let sound = Sound::from_bytes(whole.clone()).unwrap();
    // A pipe: neither length is known.
    let mut piped = whole.clone();
    piped[4..8].fill(255);
    piped[40..44].fill(255);
    assert_eq!(Sound::from_bytes(piped).unwrap(), sound);
    // Words of a list before and after the samples, of an odd length.
    let list = b"LIST\x05\0\0\0INFO!\0";
    let listed = [&whole[..36], list, &whole[36..], list].concat();
    assert_eq!(Sound::from_bytes(listed).unwrap(), sound);
    // The long form of the format, whose kind comes after the mask of speakers.
    let long = [&whole[20..36], &[22, 0, 16, 0, 4, 0, 0, 0, 1, 0], &[0; 14]].concat();
    let mut extensible = [&whole[..16], &[40, 0, 0, 0], &long[..], &whole[36..]].concat();
    extensible[20..22].copy_from_slice(&[0xfe, 0xff]);
    assert_eq!(Sound::from_bytes(extensible).unwrap(), sound);
}

#[test]
fn vorbis_as_the_reference_decodes_it() {
    let sound = Sound::from_bytes(OGG.to_vec()).unwrap();
    assert_eq!((sound.rate_hz, sound.frames()), (8000, 400));
    for (actual, expected) in sound.mono().iter().zip(tone()) {
        // Two orders of summation in 32 bits.
        assert!((actual - expected).abs() < 1e-6, "{actual} {expected}");
    }
}

#[test]
fn flac_in_two_channels() {
    let sound = Sound::from_bytes(FLAC.to_vec()).unwrap();
    assert_eq!((sound.rate_hz, sound.frames()), (8000, 400));
    for (frame, (left, right)) in sound.channels[0].iter().zip(&sound.channels[1]).enumerate() {
        let time = frame as f32 / 400.0;
        let angle = std::f32::consts::TAU * 1000.0 * frame as f32 / 8000.0;
        assert!((left - 0.5 * time * angle.sin()).abs() < 2e-3, "{frame}");
        assert!((left + right).abs() <= 1.0 / 32768.0, "{frame}");
    }
}

#[test]
fn cut_and_flipped_files_are_refused_or_whole() {
    let integers = wav(1, 16, 2, &[7; 64]);
    let floats = wav(3, 32, 1, &[62; 64]);
    let read = |bytes| Sound::from_bytes(bytes).ok();
    damage(&integers, 4000, |_| true, read);
    damage(&floats, 4000, |_| true, read);
    damage(FLAC, 4000, |_| true, read);
    damage(OGG, 2000, |_| true, read);
}

#[test]
fn damage_under_a_right_sum_is_refused_or_whole() {
    let read = |mut bytes: Vec<u8>| {
        ogg::reseal(&mut bytes);
        Sound::from_bytes(bytes).ok()
    };
    damage(OGG, 4000, |_| true, read);
}

#[test]
fn a_flipped_bit_of_flac_or_ogg_never_changes_the_sound() {
    for whole in [FLAC, OGG] {
        let sound = Sound::from_bytes(whole.to_vec()).unwrap();
        for byte in (0..whole.len()).step_by(3) {
            let mut flipped = whole.to_vec();
            flipped[byte] ^= 0x10;
            // The head of FLAC has no check sum, so a flip may change the rate.
            if let Ok(read) = Sound::from_bytes(flipped) {
                assert_eq!(read.channels, sound.channels, "byte {byte}");
            }
        }
    }
}

#[test]
fn errors_say_what_is_wrong() {
    assert_eq!(message(b"MThd"), "it is not a WAV, FLAC or Ogg file");
    let whole = wav(1, 16, 1, &[0; 64]);
    assert_eq!(
        message(&whole[..whole.len() - 3]),
        "it ends after 30 frames, expected 32"
    );
    assert_eq!(
        message(&whole[..40]),
        "the WAV breaks off at byte 40, before its samples"
    );
    assert_eq!(
        message(&wav(2, 4, 1, &[0; 4])),
        "the WAV holds samples of kind 2 and 4 bits, expected integers (1) of 8, 16, 24 or 32 bits or floats (3) of 32 or 64"
    );
    assert_eq!(message(&wav(1, 16, 1, &[])), "it has no sample");
    let nan = wav(3, 32, 1, &[[0; 4], f32::NAN.to_le_bytes()].concat());
    assert_eq!(message(&nan), "frame 1 holds a value that is not finite");
    let cut = &OGG[..OGG.len() - 1];
    let expected = format!("the Ogg stream breaks off at byte {}", cut.len());
    assert_eq!(message(cut), expected);
    let error = Sound::open("no such file.wav".as_ref()).unwrap_err();
    assert_eq!(error.to_string(), "reading \"no such file.wav\"");
}
