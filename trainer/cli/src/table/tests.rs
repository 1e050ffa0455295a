use super::*;

/// Four samples of two classes, all that a table can have.
pub fn small() -> Table {
    let class = |name: &str, vector: [f32; 2]| Class {
        name: name.to_owned(),
        prompts: vec![format!("a {name}"), format!("the {name}")],
        vector: vector.to_vec(),
        prompt_vectors: [vector, vector].concat(),
    };
    Table {
        name: "small".to_owned(),
        sense: Modality::Imu,
        dim: 2,
        embeddings: vec![1.0, 0.0, 0.9, 0.1, 0.0, 1.0, 0.5, 0.4],
        names: ["p", "q", "r", "s"].map(str::to_owned).to_vec(),
        labels: vec![Some(0), Some(0), Some(1), None],
        also: vec![vec![], vec![1], vec![], vec![]],
        groups: ["ann", "ann", "bob", "bob"].map(str::to_owned).to_vec(),
        seconds: vec![5.0, 5.0, 3.0, 2.0],
        classes: vec![class("walk", [1.0, 0.0]), class("rest", [0.0, 1.0])],
        class_groups: vec![ClassGroup {
            name: "feet".to_owned(),
            of: "a".to_owned(),
            classes: vec![0],
        }],
        anchors: Some(Anchors {
            sense: Modality::Depth,
            rows: vec![1.0, 0.2, 0.1, 1.0],
            names: vec!["d1".to_owned(), "d2".to_owned()],
            of: vec![0, 0, 1, 1],
            labels: vec![Some(0), None],
        }),
        training: vec![Epoch {
            epoch: 1,
            loss: 2.5,
            held_out: Some(0.5),
        }],
        provenance: "made up".to_owned(),
    }
}

fn saved(table: &Table) -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    table.write(&path).unwrap();
    (dir, path)
}

#[test]
fn a_table_reads_back_as_written() {
    let (_dir, path) = saved(&small());
    assert_eq!(Table::read(&path).unwrap(), small());
    let bare = Table {
        classes: vec![],
        class_groups: vec![],
        anchors: None,
        labels: vec![None; 4],
        also: vec![],
        training: vec![],
        ..small()
    };
    let (_dir, path) = saved(&bare);
    assert_eq!(Table::read(&path).unwrap(), bare);
    assert_eq!(small().classes_of(1), [0, 1]);
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let (_dir, path) = saved(&small());
    let bytes = std::fs::read(&path).unwrap();
    for len in 0..bytes.len() {
        std::fs::write(&path, &bytes[..len]).unwrap();
        assert!(Table::read(&path).is_err(), "{len} of {}", bytes.len());
    }
}

#[test]
fn what_does_not_fit_together_is_named() {
    let error = |change: fn(&mut Table)| {
        let mut table = small();
        change(&mut table);
        let dir = tempfile::tempdir().unwrap();
        table.write(&dir.path().join(FILE)).unwrap_err().to_string()
    };
    assert_eq!(
        error(|t| t.labels.truncate(3)),
        "labels has 3 entries, expected 4, one for each sample"
    );
    assert_eq!(
        error(|t| t.labels[2] = Some(2)),
        "labels[2] is 2, but there are 2 classes"
    );
    assert_eq!(
        error(|t| t.also[3] = vec![0]),
        "sample 3 has no label, but also[3] has classes"
    );
    assert_eq!(
        error(|t| t.anchors.as_mut().unwrap().of[3] = 9),
        "anchors.of[3] is 9, but there are 2 anchors"
    );
    assert_eq!(
        error(|t| t.embeddings[5] = f32::NAN),
        "\"embeddings\" has a number that is not finite in row 2"
    );
    assert_eq!(
        error(|t| t.classes[1].name = "walk".to_owned()),
        "there are two classes \"walk\""
    );
    assert_eq!(
        error(|t| {
            t.classes[0].vector.pop();
        }),
        "a class's vector has 1 entries, expected 2, one for each number"
    );
    assert_eq!(
        error(|t| {
            t.names.clear();
            t.embeddings.clear();
        }),
        "\"embeddings\" has shape [0, 2], expected [samples, dim], at least one of each"
    );
}

#[test]
fn a_file_of_something_else_is_refused() {
    let (_dir, path) = saved(&small());
    let mut weights = Weights::read(&path).unwrap();
    weights.insert(CLASS_VECTORS, &[2, 3], vec![0.0; 6]);
    weights.write(&path).unwrap();
    assert_eq!(
        Table::read(&path).unwrap_err().to_string(),
        "weight \"class_vectors\" has shape [2, 3], expected [2, 2]"
    );
    weights.insert(EMBEDDINGS, &[8], vec![0.0; 8]);
    weights.write(&path).unwrap();
    assert_eq!(
        Table::read(&path).unwrap_err().to_string(),
        "\"embeddings\" has shape [8], expected [samples, dim], at least one of each"
    );
    weights.set_metadata(WORDS, "{\"name\": 3}");
    weights.write(&path).unwrap();
    assert_eq!(
        Table::read(&path).unwrap_err().to_string(),
        "metadata \"table\""
    );
    Weights::new().write(&path).unwrap();
    assert_eq!(
        Table::read(&path).unwrap_err().to_string(),
        "it is no table of held-out samples: it has no metadata \"table\""
    );
}
