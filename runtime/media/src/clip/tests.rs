use std::fs;

use super::*;

fn message(path: &Path) -> String {
    let error = open(path).unwrap_err();
    let source = std::error::Error::source(&error);
    source.map_or(error.to_string(), |source| format!("{error}: {source}"))
}

#[test]
fn a_folder_is_a_clip_in_the_order_of_names() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    assert!(message(folder.path()).ends_with("holds no .png, .pgm, .jpg or .jpeg file"));
    file("001.pgm", b"P5 2 1 65535\n\x00\x03\x00\x04");
    let first = file("000.pgm", b"P5 2 1 65535\n\x00\x01\x00\x02");
    file("notes.txt", b"other files do not matter");
    let clip = open(folder.path()).unwrap();
    assert_eq!(clip.shape, [2, 1, 2]);
    assert_eq!(clip.numbers, Numbers::U16(vec![1, 2, 3, 4]));
    assert_eq!(open(&first).unwrap().shape, [1, 1, 2]);
    let bytes = file("002.pgm", b"P5 2 1 255\n\x01\x02");
    let expected = "has 2 x 1 uint8, expected 2 x 1 uint16 as the first of the folder";
    assert_eq!(message(folder.path()), format!("{bytes:?} {expected}"));
}

#[test]
fn an_array_is_one_frame_or_several() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.npy");
    let write = |shape: &[usize]| {
        let values = vec![1.0; shape.iter().product()];
        fs::write(
            &path,
            sensorium_pack::npy::to_bytes(shape, &values).unwrap(),
        )
        .unwrap();
        open(&path)
    };
    assert_eq!(write(&[4, 2, 3]).unwrap().shape, [4, 2, 3]);
    assert_eq!(write(&[2, 3]).unwrap().shape, [1, 2, 3]);
    assert!(write(&[6]).is_err());
    let expected = "it has shape [6], expected [frames, height, width] or [height, width]";
    assert_eq!(message(&path), format!("{path:?}: {expected}"));
    assert!(write(&[0, 2, 3]).is_err());
}
