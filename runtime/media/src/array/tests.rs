use std::io::Write;

use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

use super::*;
use crate::damage::damage;

fn npy(values: &[f32]) -> Vec<u8> {
    sensorium_pack::npy::to_bytes(&[values.len()], values).unwrap()
}

fn npz(members: &[(&str, Vec<u8>)], method: CompressionMethod) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(method);
    for (name, bytes) in members {
        zip.start_file(*name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn members_are_found_by_name_or_alone() {
    let one = [("data.npy", npy(&[1.0, 2.0]))];
    let two = [("b.npy", npy(&[1.0])), ("a.npy", npy(&[2.0]))];
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let bytes = npz(&one, method);
        let array = from_bytes(bytes.clone(), None).unwrap();
        assert_eq!(array.into_f32().values, [1.0, 2.0]);
        assert!(from_bytes(bytes, Some("data")).is_ok());
        let read = |name| from_bytes(npz(&two, method), name);
        assert_eq!(read(Some("a")).unwrap().into_f32().values, [2.0]);
        let message = |name| read(name).unwrap_err().to_string();
        assert_eq!(
            message(None),
            r#"the .npz holds ["a", "b"], expected one array"#
        );
        assert_eq!(
            message(Some("c")),
            r#"the .npz holds ["a", "b"], expected "c""#
        );
    }
    assert_eq!(from_bytes(npy(&[3.0]), Some("any")).unwrap().shape, [1]);
    let error = from_bytes(b"text".to_vec(), None).unwrap_err();
    assert_eq!(error.to_string(), "it is not a .npy or .npz file");
}

#[test]
fn cut_and_flipped_archives_are_refused_or_harmless() {
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let bytes = npz(&[("data.npy", npy(&[1.0, 2.0]))], method);
        damage(&bytes, 4000, |_| true, |bytes| from_bytes(bytes, None).ok());
    }
}
