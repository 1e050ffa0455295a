use sensorium_pack::npy;

use super::*;

const HEADING: &str = "user,recording,start_sample,label_id,label\n";

/// Writes both files and opens them.
fn open(shape: &[usize], values: &[f32], rows: &str) -> Result<WindowSet, WindowError> {
    let dir = tempfile::tempdir().unwrap();
    let (array, index) = (dir.path().join("w.npy"), dir.path().join("w.csv"));
    std::fs::write(&array, npy::to_bytes(shape, values).unwrap()).unwrap();
    std::fs::write(&index, format!("{HEADING}{rows}")).unwrap();
    WindowSet::open(&array, &index)
}

fn ramp(len: usize) -> Vec<f32> {
    (0..len).map(|i| i as f32).collect()
}

#[test]
fn a_set_reads_as_written() {
    let set = open(
        &[2, 2, 6],
        &ramp(24),
        "1,0,256,5,standing\n7,3,384,2,walking",
    )
    .unwrap();
    assert_eq!((set.len(), set.window_len()), (2, 2));
    assert_eq!(set.samples(1)[0], [12.0, 13.0, 14.0, 15.0, 16.0, 17.0]);
    let source = &set.sources()[1];
    assert_eq!((source.user, source.label_id.as_str()), (7, "2"));
}

#[test]
fn only_a_neighbour_of_the_same_recording_and_label_follows() {
    let rows = "1,0,0,5,a\n1,0,2,5,a\n1,0,4,6,b\n1,1,6,6,b\n1,1,9,6,b\n2,1,11,6,b";
    let set = open(&[6, 2, 6], &ramp(72), rows).unwrap();
    let next: Vec<_> = (0..6).map(|i| set.next(i)).collect();
    assert_eq!(next, [Some(1), None, None, None, None, None]);
}

#[test]
fn what_is_wrong_is_named_with_its_file_and_row() {
    let message = |result: Result<WindowSet, WindowError>| result.unwrap_err().to_string();
    let rows = "1,0,0,5,a\n1,0,2,5,a";
    let wrong = message(open(&[2, 6], &ramp(12), rows));
    assert!(wrong.ends_with("w.npy\" has shape [2, 6], expected [windows, samples, 6]"));
    let mut values = ramp(24);
    values[13] = f32::NAN;
    let wrong = message(open(&[2, 2, 6], &values, rows));
    assert!(wrong.ends_with("w.npy\": window 1 holds a value that is not finite"));
    let wrong = message(open(&[2, 2, 6], &ramp(24), "1,0,0,5,a\n1,x,2,5,a"));
    assert!(wrong.ends_with("w.csv\": row 1 is not a window's"));
    let wrong = message(open(&[2, 2, 6], &ramp(24), "1,0,0,5,a"));
    assert!(wrong.ends_with("w.csv\" has 1 rows, expected 2, one a window"));
    let nowhere = Path::new("/nonexistent/w");
    assert_eq!(
        message(WindowSet::open(nowhere, nowhere)),
        "\"/nonexistent/w\""
    );
}

/// The set's windows are at the encoder's rate and in its units: the front end only transposes.
#[test]
fn features_are_the_runtimes() {
    let set = open(&[1, 2, 6], &ramp(12), "1,0,0,5,a").unwrap();
    let units: ImuUnits = "g,rad/s".parse().unwrap();
    let front_end = ImuFrontEnd {
        rate_hz: 50.0,
        samples: 2,
        units,
    };
    let mut out = [0.0; 12];
    features(set.samples(0), units, 50.0, &front_end, &mut out).unwrap();
    let expected = [0.0, 6.0, 1.0, 7.0, 2.0, 8.0, 3.0, 9.0, 4.0, 10.0, 5.0, 11.0];
    for (actual, expected) in out.into_iter().zip(expected) {
        assert!((actual - expected).abs() <= 1e-6 * expected, "{actual}");
    }
}
