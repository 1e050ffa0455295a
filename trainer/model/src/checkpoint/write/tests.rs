use super::*;
use crate::checkpoint::Checkpoint;
use crate::weights::WeightSource;

type Tensors = Vec<(String, Vec<usize>)>;

fn small() -> Tensors {
    let tensors = [
        ("z", vec![2, 3]),
        ("a\"\u{e9}\n", vec![]),
        ("empty", vec![0, 4]),
        ("large", vec![130, 300]),
    ];
    tensors.map(|(name, shape)| (name.to_owned(), shape)).into()
}

/// Numbers whose bytes are all different, among them what no comparison would find.
fn values(shape: &[usize]) -> Vec<f32> {
    let count = shape.iter().product::<usize>() as u32;
    (0..count)
        .map(|i| f32::from_bits(i.wrapping_mul(0x9e37_79b9)))
        .collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn names_in(folder: &Path) -> Vec<String> {
    let files = std::fs::read_dir(folder).unwrap();
    files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn begin(path: &Path, tensors: Tensors) -> Result<CheckpointWriter, CheckpointError> {
    match path.extension().unwrap().to_str().unwrap() {
        "pth" => CheckpointWriter::torch(path, tensors),
        _ => {
            let metadata = BTreeMap::from([("made by".to_owned(), "\"us\"".to_owned())]);
            CheckpointWriter::safetensors(path, tensors, &metadata)
        }
    }
}

#[test]
fn what_is_written_reads_back() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["w.safetensors", "w.pth"] {
        let path = folder.path().join(name);
        std::fs::write(&path, "what was there before").unwrap();
        let mut writer = begin(&path, small()).unwrap();
        for (name, shape) in small() {
            writer.write(&name, &values(&shape)).unwrap();
        }
        writer.finish().unwrap();
        let read = Checkpoint::open(&path).unwrap();
        assert_eq!(read.entries().len(), 4);
        for (name, shape) in small() {
            let actual = read.values_of(&name, &shape).unwrap();
            assert_eq!(bits(&actual), bits(&values(&shape)), "{name}");
        }
        let words = read.metadata().get("made by").map(String::as_str);
        assert_eq!(words, (name == "w.safetensors").then_some("\"us\""));
    }
    assert_eq!(names_in(folder.path()).len(), 2);
}

#[test]
fn another_library_reads_what_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    let mut writer = begin(&path, small()).unwrap();
    for (name, shape) in small() {
        writer.write(&name, &values(&shape)).unwrap();
    }
    writer.finish().unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let read = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(read.len(), 4);
    for (name, shape) in small() {
        let view = read.tensor(&name).unwrap();
        assert_eq!(view.shape(), shape);
        let expected = values(&shape).into_iter().flat_map(f32::to_le_bytes);
        assert_eq!(view.data(), expected.collect::<Vec<_>>());
    }
}

#[test]
fn tensors_are_written_whole_and_in_turn_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["w.safetensors", "w.pth"] {
        let path = folder.path().join(name);
        let mut writer = begin(&path, small()).unwrap();
        let messages = [
            writer.write("empty", &[]).unwrap_err().to_string(),
            writer.write("z", &[1.0]).unwrap_err().to_string(),
            writer.finish().unwrap_err().to_string(),
        ];
        let expected = [
            "tensor \"empty\" was written, expected \"z\"",
            "tensor \"z\" was written with 1 values, expected 6",
            "0 tensors were written, expected 4",
        ];
        assert_eq!(messages, expected);
        let mut twice = small();
        twice.extend(small());
        let error = begin(&path, twice).unwrap_err();
        assert_eq!(error.to_string(), "tensor \"z\" is listed twice");
        drop(begin(&path, small()).unwrap());
        let mut none = begin(&path, Vec::new()).unwrap();
        let error = none.write("z", &[1.0]).unwrap_err();
        assert_eq!(error.to_string(), "tensor \"z\" was written after the last");
    }
    assert_eq!(names_in(folder.path()), [""; 0]);
    let nowhere = begin(&folder.path().join("none/w.pth"), small()).unwrap_err();
    assert!(nowhere.to_string().starts_with("writing "), "{nowhere}");
}
