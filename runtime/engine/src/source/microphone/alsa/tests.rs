use super::*;

fn range(channels: u16, rates: (u32, u32), format: SampleFormat) -> SupportedStreamConfigRange {
    let size = SupportedBufferSize::Unknown;
    SupportedStreamConfigRange::new(channels, rates.0, rates.1, size, format)
}

/// What is chosen: channels, rate, format; or what is said.
fn chosen(
    rate_hz: Option<u32>,
    ranges: &[SupportedStreamConfigRange],
) -> Result<(u16, u32, SampleFormat), String> {
    let microphone = Microphone {
        device: "mic".to_owned(),
        rate_hz,
    };
    let (config, format, pcm) =
        choose(&microphone, ranges.to_vec()).map_err(|error| error.to_string())?;
    assert_eq!(pcm.rate_hz(), config.sample_rate);
    Ok((config.channels, config.sample_rate, format))
}

#[test]
fn the_fewest_channels_of_the_best_kind_are_taken() {
    let ranges = [
        range(2, (8_000, 48_000), SampleFormat::I16),
        range(1, (8_000, 48_000), SampleFormat::F32),
        range(1, (44_100, 48_000), SampleFormat::I16),
        range(1, (8_000, 48_000), SampleFormat::U64),
    ];
    assert_eq!(chosen(None, &ranges), Ok((1, 16_000, SampleFormat::F32)));
    let at = |hz| chosen(Some(hz), &ranges);
    assert_eq!(at(48_000), Ok((1, 48_000, SampleFormat::I16)));
    assert_eq!(
        at(96_000).unwrap_err(),
        "microphone \"mic\" does not give 96000 samples a second, expected 8000 to 48000"
    );
}

#[test]
fn buffers_are_a_tenth_of_a_second() {
    let of = |min, max| {
        let size = SupportedBufferSize::Range { min, max };
        let range = SupportedStreamConfigRange::new(1, 8_000, 48_000, size, SampleFormat::I16);
        buffer_size(&range, 16_000)
    };
    assert_eq!(of(64, 4_096), BufferSize::Fixed(1_600));
    assert_eq!(of(64, 1_024), BufferSize::Fixed(1_024));
    let unknown = range(1, (8_000, 48_000), SampleFormat::I16);
    assert_eq!(buffer_size(&unknown, 16_000), BufferSize::Default);
}

#[test]
fn where_nobody_asks_the_nearest_rate_will_do() {
    let ranges = [range(2, (44_100, 192_000), SampleFormat::I32)];
    assert_eq!(chosen(None, &ranges), Ok((2, 44_100, SampleFormat::I32)));
    let odd = [range(1, (8_000, 48_000), SampleFormat::U64)];
    assert!(chosen(None, &odd).unwrap_err().ends_with("does not have"));
}

#[test]
fn what_finds_no_room_leaves_a_gap_in_the_numbers() {
    let (sender, heard) = sync_channel(1);
    let mut first = 0;
    for _ in 0..3 {
        first += hear(&sender, &[0; 40], first, 4);
    }
    assert_eq!(first, 30);
    let number = || match heard.try_recv().unwrap() {
        Heard::Samples { first, .. } => first,
        _ => panic!("no samples"),
    };
    assert_eq!(number(), 0);
    hear(&sender, &[0; 40], first, 4);
    assert_eq!(number(), 30);
}

#[test]
fn an_overrun_is_not_the_end() {
    let (sender, heard) = sync_channel(4);
    tell(&sender, ErrorKind::RealtimeDenied.into());
    tell(&sender, ErrorKind::Xrun.into());
    tell(&sender, ErrorKind::DeviceNotAvailable.into());
    assert!(matches!(heard.try_recv(), Ok(Heard::Overrun)));
    assert!(matches!(heard.try_recv(), Ok(Heard::Gone(_))));
    assert!(heard.try_recv().is_err());
}
