use super::*;

const HEADER: &str = "acc_x_g,acc_y_g,acc_z_g,gyro_x_rads,gyro_y_rads,gyro_z_rads";

fn read(text: &str) -> Result<Recording, CsvError> {
    Recording::read(text.as_bytes(), Path::new("walk.csv"), None)
}

fn error(text: &str) -> String {
    read(text).unwrap_err().to_string()
}

#[test]
fn samples_are_in_si_and_labels_are_kept() {
    let text =
        format!("{HEADER},label\n1,0,-1,0.5,0,0,walking\n1,0,0,0,0,0,-1\n0,0,0,0,0,0,walking\n");
    let recording = read(&text).unwrap();
    assert_eq!(recording.samples[0].accel_mps2, [9.80665, 0.0, -9.80665]);
    assert_eq!(recording.samples[0].gyro_radps, [0.5, 0.0, 0.0]);
    let labels = recording.labels.unwrap();
    assert_eq!(
        (labels.at(0), labels.at(1), labels.at(9)),
        (Some("walking"), None, None)
    );
    assert_eq!(labels.majority(0..3), Some("walking"));
    assert_eq!(labels.majority(1..3), None);
    assert_eq!(labels.majority(1..9), None);
}

#[test]
fn columns_may_stand_anywhere_and_others_are_not_read() {
    let text = "t_ms,gx_dps,gy_dps,gz_dps,temp_c,ax_mps2,ay_mps2,az_mps2\n\
                10,180,0,0,n/a,1,2,3\n30.5,0,0,0,,1,2,3\n";
    let recording = read(text).unwrap();
    assert_eq!(recording.samples[0].accel_mps2, [1.0, 2.0, 3.0]);
    assert!((recording.samples[0].gyro_radps[0] - std::f32::consts::PI).abs() < 1e-6);
    assert_eq!(recording.times_us, Some(vec![10_000, 30_500]));
    assert_eq!(recording.rate_mhz(), Some(48_780));
    assert_eq!(recording.labels, None);
}

#[test]
fn units_may_come_from_the_caller() {
    let text = "ax,ay,az,gx,gy,gz\n1,0,0,0,0,0\n";
    assert_eq!(
        error(text),
        "\"walk.csv\", line 1: column \"ax\" has no unit; say it as --units g,rad/s"
    );
    let units = "g,rad/s".parse().unwrap();
    let recording = Recording::read(text.as_bytes(), Path::new("walk.csv"), Some(units)).unwrap();
    assert_eq!(recording.samples[0].accel_mps2[0], 9.80665);
}

#[test]
fn units_that_contradict_each_other_are_refused() {
    let mixed = "acc_x_g,acc_y_mps2,acc_z_g,gyro_x_rads,gyro_y_rads,gyro_z_rads\n";
    assert!(error(mixed).contains("column \"acc_y_mps2\" is not in the same unit"));
    let unknown = "acc_x_furlong,acc_y_g,acc_z_g,gyro_x_rads,gyro_y_rads,gyro_z_rads\n";
    assert!(error(unknown).contains("column \"acc_x_furlong\" is not in the same unit"));
    let units = Some(ImuUnits::SI);
    let contradicted = Recording::read(HEADER.as_bytes(), Path::new("walk.csv"), units);
    assert!(matches!(contradicted, Err(CsvError::UnitsDiffer { .. })));
}

#[test]
fn a_file_without_its_header_says_what_is_expected() {
    let message = error("0.1,0.2,0.3,0,0,0\n0.1,0.2,0.3,0,0,0\n");
    assert!(message.starts_with("\"walk.csv\", line 1: no column for acc_x; the header is \"0.1,"));
    assert!(error("").contains("no column for acc_x"));
}

#[test]
fn what_is_not_a_number_is_named_with_its_line() {
    for bad in ["NaN", "inf", "one", "", "1e99"] {
        let text = format!("{HEADER}\n0,0,1,0,0,0\n{bad},0,1,0,0,0\n");
        let message = error(&text);
        let expected =
            format!("\"walk.csv\", line 3: acc_x_g is {bad:?}, expected a finite number");
        assert_eq!(message, expected);
    }
}

#[test]
fn rows_of_other_lengths_and_files_without_rows_are_refused() {
    assert_eq!(
        error(&format!("{HEADER}\n0,0,1,0,0\n")),
        "\"walk.csv\" is not a CSV file"
    );
    assert_eq!(
        error(&format!("{HEADER}\n")),
        "\"walk.csv\" holds no sample"
    );
    let binary = Recording::read(&[0xff, 0xfe, 0][..], Path::new("walk.csv"), None);
    assert!(binary.is_err());
    let missing = Recording::open(Path::new("/nonexistent/walk.csv"), None).unwrap_err();
    assert_eq!(missing.to_string(), "cannot open \"/nonexistent/walk.csv\"");
}

#[test]
fn time_must_go_on() {
    let text = format!("t_s,{HEADER}\n0.00,0,0,1,0,0,0\n0.00,0,0,1,0,0,0\n");
    assert_eq!(
        error(&text),
        "\"walk.csv\", line 3: time \"0.00\" is negative or not after the one before"
    );
    assert!(matches!(
        read(&format!("t_s,{HEADER}\n-1,0,0,1,0,0,0\n")),
        Err(CsvError::Time { line: 2, .. })
    ));
}
