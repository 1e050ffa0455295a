//! The simulated node on perfect and on bad links, without a pty.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use sensorium_host_sim::{Blocking, Buffered, Report, Settings, Speed, simulate};
use sensorium_node::Config;
use sensorium_wire::{
    Arrival, DecodeCounts, Decoder, End, ImuSample, Payload, StreamTable, sample_time_us, stream,
};

fn samples(count: usize) -> impl Iterator<Item = ImuSample> {
    (0..count).map(|i| ImuSample {
        accel_mps2: [i as f32, -0.5, f32::NAN],
        gyro_radps: [0.25, 1e-9, -(i as f32)],
    })
}

fn bits(sample: &ImuSample) -> [u32; 6] {
    let ([ax, ay, az], [gx, gy, gz]) = (sample.accel_mps2, sample.gyro_radps);
    [ax, ay, az, gx, gy, gz].map(f32::to_bits)
}

fn play(count: usize, settings: &Settings) -> (Vec<u8>, Report) {
    let (mut bytes, stop) = (Vec::new(), AtomicBool::new(false));
    let link = Blocking::new(&mut bytes, &stop);
    let report = simulate(samples(count), settings, link, &stop);
    (bytes, report)
}

/// What a host makes of it.
struct Received {
    /// Time and number of each sample, and the sample.
    samples: Vec<(u64, u64, ImuSample)>,
    end: Option<End>,
    counts: DecodeCounts,
    frames_lost: u64,
}

fn receive(bytes: &[u8]) -> Received {
    let (mut decoder, mut table) = (Decoder::new(), StreamTable::new());
    let mut received = Received {
        samples: Vec::new(),
        end: None,
        counts: decoder.counts(),
        frames_lost: 0,
    };
    let mut packets: Vec<_> = bytes.iter().filter_map(|&b| decoder.push(b)).collect();
    packets.extend(decoder.finish());
    for packet in packets.into_iter().flatten() {
        assert_ne!(table.observe(&packet), Arrival::Old);
        match packet.payload {
            Payload::Imu(block) => {
                for (i, sample) in block.samples.iter().enumerate() {
                    let t_us = packet.t_dev_us + block.offset_us(i);
                    let number = block.index + i as u64;
                    received.samples.push((t_us, number, *sample));
                }
            }
            Payload::End(end) => received.end = Some(end),
            _ => {}
        }
    }
    received.counts = decoder.counts();
    received.frames_lost = table.iter().map(|(_, counts)| counts.lost).sum();
    received
}

/// Every value bit for bit, and every time as a reader of the recording computes it.
#[test]
fn a_perfect_link_delivers_the_recording() {
    for rate_mhz in [50_000, 30_000, 104_000, 12_345_678] {
        let (bytes, report) = play(10_000, &Settings::at_rate_mhz(rate_mhz));
        assert_eq!(report.status.sampled, 10_000);
        assert_eq!((report.status.sent, report.status.dropped), (10_000, 0));
        let received = receive(&bytes);
        assert_eq!((received.counts.refused(), received.frames_lost), (0, 0));
        assert_eq!(received.samples.len(), 10_000);
        for (i, ((t_us, number, got), sent)) in
            received.samples.iter().zip(samples(10_000)).enumerate()
        {
            assert_eq!(*number, i as u64);
            assert_eq!(*t_us, sample_time_us(i as u64, rate_mhz));
            assert_eq!(bits(got), bits(&sent));
        }
        let end = received.end.unwrap();
        assert_eq!((end.sampled, end.dropped), (10_000, 0));
    }
}

#[test]
fn the_same_settings_give_the_same_bytes() {
    let settings = Settings {
        destroy: 0.2,
        seed: 7,
        ..Settings::at_rate_mhz(50_000)
    };
    let (bytes, report) = play(3000, &settings);
    assert_eq!(play(3000, &settings), (bytes.clone(), report));
    let other = Settings {
        seed: 8,
        ..settings
    };
    assert_ne!(play(3000, &other).0, bytes);
}

/// The end of the ledger: what was sampled is what was received and what was lost, exactly.
#[test]
fn a_bad_link_loses_what_it_damages() {
    let count = 20_000;
    let recording: Vec<_> = samples(count).collect();
    for seed in 0..20 {
        let settings = Settings {
            destroy: 0.05,
            seed,
            ..Settings::at_rate_mhz(50_000)
        };
        let (bytes, report) = play(count, &settings);
        let damage = report.damage;
        let share = damage.damaged() as f64 / damage.frames as f64;
        assert!((0.03..0.07).contains(&share), "{share}");

        let received = receive(&bytes);
        let mut next = 0;
        for (t_us, number, got) in &received.samples {
            assert!(*number >= next, "a sample came twice");
            assert_eq!(*t_us, sample_time_us(*number, 50_000));
            assert_eq!(bits(got), bits(&recording[*number as usize]));
            next = number + 1;
        }
        let end = received.end.unwrap();
        assert_eq!((end.sampled, end.dropped), (count as u64, 0));
        let lost = count - received.samples.len();
        // A damaged frame costs itself, or itself and the next one, or nothing at all.
        assert!(lost > 0 && lost <= 16 * 2 * damage.damaged() as usize);
        assert!(received.frames_lost <= 2 * damage.damaged());
        assert!(received.counts.refused() > 0);
        if seed == 0 {
            println!("{report:?}\n{:?}\nlost {lost} samples", received.counts);
        }
    }
}

/// At a finite speed a reader that does not keep up costs samples, which the node counts; the wall
/// clock says how long it took.
#[test]
fn a_slow_reader_costs_samples_at_a_finite_speed() {
    struct Nobody;
    impl std::io::Write for Nobody {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            std::thread::sleep(Duration::from_millis(5));
            Err(std::io::ErrorKind::TimedOut.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let settings = Settings {
        speed: Speed::Times(200.0),
        node: Config {
            stop_timeout_us: 100_000,
            ..Config::default()
        },
        ..Settings::at_rate_mhz(100_000)
    };
    let (start, stop) = (Instant::now(), AtomicBool::new(false));
    let mut link = Buffered::new(Nobody);
    let report = simulate(samples(4000), &settings, &mut link, &stop);
    assert!(
        start.elapsed() > Duration::from_millis(190),
        "{:?}",
        start.elapsed()
    );
    assert!(!link.finish(Duration::from_millis(1)));
    let status = report.status;
    assert_eq!(status.sampled, 4000);
    assert_eq!(status.sent + status.dropped, 4000);
    assert!(status.dropped > 2000 && status.sent > 100, "{status:?}");
}

/// The end is sent often enough that even a link which destroys every second frame lets one by, and
/// then the books are balanced: what is missing is what was in the frames that were damaged.
#[test]
fn the_ledger_balances_on_a_link_that_is_hardly_one() {
    let mut ended = 0;
    for seed in 0..100 {
        let settings = Settings {
            destroy: 0.5,
            seed,
            ..Settings::at_rate_mhz(50_000)
        };
        let (bytes, report) = play(2000, &settings);
        let received = receive(&bytes);
        let Some(end) = received.end else { continue };
        ended += 1;
        assert_eq!((end.sampled, end.dropped), (2000, 0));
        let status = report.status;
        assert_eq!((status.sampled, status.sent), (end.sampled, end.sampled));
        let mut numbers: Vec<_> = received
            .samples
            .iter()
            .map(|&(_, number, _)| number)
            .collect();
        numbers.dedup();
        let lost = end.sampled - end.dropped - numbers.len() as u64;
        let missing = (0..end.sampled).filter(|number| numbers.binary_search(number).is_err());
        assert_eq!(lost, missing.count() as u64);
        assert!(lost > 0 && lost <= 16 * 2 * report.damage.damaged());
    }
    // All eight copies are destroyed about once in 256 times.
    assert!(ended >= 97, "{ended}");
}

/// A link that is full when the node ends still gets all of it, once there is room.
#[test]
fn the_end_waits_for_room() {
    let settings = Settings {
        speed: Speed::Times(1e6),
        ..Settings::at_rate_mhz(100_000)
    };
    #[derive(Clone)]
    struct Slow(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);
    impl std::io::Write for Slow {
        fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
            std::thread::sleep(Duration::from_millis(2));
            self.0.lock().unwrap().extend(buf);
            Ok(buf.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let (slow, stop) = (Slow(Default::default()), AtomicBool::new(false));
    let mut link = Buffered::new(slow.clone());
    let report = simulate(samples(5000), &settings, &mut link, &stop);
    assert!(link.finish(Duration::from_secs(10)));
    let received = receive(&slow.0.lock().unwrap());
    let end = received.end.unwrap();
    assert!(end.dropped > 0, "{end:?}");
    assert_eq!(end.sampled, 5000);
    assert_eq!(end.sampled, received.samples.len() as u64 + end.dropped);
    assert_eq!(report.status.dropped, end.dropped);
}

#[test]
fn stop_ends_an_endless_recording_in_order() {
    let stop = AtomicBool::new(false);
    let mut bytes = Vec::new();
    let endless = samples(usize::MAX).inspect(|sample| {
        if sample.accel_mps2[0] >= 1000.0 {
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    });
    let settings = Settings::at_rate_mhz(50_000);
    let report = simulate(endless, &settings, Blocking::new(&mut bytes, &stop), &stop);
    let received = receive(&bytes);
    assert!(report.status.sampled >= 1000);
    assert_eq!(report.status.sent, report.status.sampled);
    assert_eq!(received.end.unwrap().sampled, report.status.sampled);
    assert_eq!(received.samples.len() as u64, report.status.sampled);
    assert_eq!(stream::IMU, settings.node.stream);
}
