use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::*;

/// See `golden.py`.
const GOLDEN: &[u8] = include_bytes!("golden.pth");
const GOLDEN_TEXT: &str = include_str!("golden.txt");

type Memory = Checkpoint<Cursor<Vec<u8>>>;

fn read(bytes: &[u8]) -> Result<Memory, CheckpointError> {
    Checkpoint::from_reader(Cursor::new(bytes.to_vec()))
}

fn refused(bytes: &[u8]) -> String {
    read(bytes).unwrap_err().to_string()
}

fn torch_file(members: &[(&str, &[u8])]) -> Vec<u8> {
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in members {
        zip.start_file(format!("x/{name}"), stored).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A torch file of this pickle, and of storage `0` with the bytes 0, 1, 2, ... 11.
fn pickled(pickle: &[u8]) -> Vec<u8> {
    torch_file(&[
        ("data.pkl", pickle),
        ("data/0", &std::array::from_fn::<u8, 12, _>(|i| i as u8)),
    ])
}

/// A pickle that puts together a tensor of bytes from storage `0`.
fn tensor(len: u8, offset: u8, shape: &[u8], strides: &[u8]) -> Vec<u8> {
    let tuple = |sizes: &[u8]| {
        let sizes: Vec<u8> = sizes.iter().flat_map(|&size| [b'K', size]).collect();
        [b"(", sizes.as_slice(), b"t"].concat()
    };
    [
        b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nByteStorage\nX\x01\0\0\x000",
        b"X\x03\0\0\0cpuK".as_slice(),
        &[len],
        b"tQK",
        &[offset],
        &tuple(shape),
        &tuple(strides),
        b"\x89NtR",
    ]
    .concat()
}

/// A pickle of a dictionary with one key of one letter.
fn dict(key: u8, value: &[u8]) -> Vec<u8> {
    [b"\x80\x02}X\x01\0\0\0", [key].as_slice(), value, b"s."].concat()
}

/// The numbers of a tensor of bytes, or why there are none.
fn bytes_of(len: u8, offset: u8, shape: &[u8], strides: &[u8]) -> Result<Vec<i64>, String> {
    let file = pickled(&dict(b'w', &tensor(len, offset, shape, strides)));
    let checkpoint = read(&file).map_err(|error| error.to_string())?;
    Ok(checkpoint.integers("w").unwrap())
}

#[test]
fn a_torch_file_reads_as_torch_reads_it() {
    let checkpoint = read(GOLDEN).unwrap();
    assert_eq!(checkpoint.entries().len(), GOLDEN_TEXT.lines().count());
    for line in GOLDEN_TEXT.lines() {
        let [name, kind, shape, values] = *line.split('\t').collect::<Vec<_>>() else {
            panic!("{line}");
        };
        let sizes = shape.split(',').filter(|size| !size.is_empty());
        let shape: Vec<usize> = sizes.map(|size| size.parse().unwrap()).collect();
        assert_eq!(checkpoint.entry(name).unwrap().shape(), shape, "{name}");
        let numbers = values.split_whitespace();
        match kind {
            "float64" => {
                let expected: Vec<f64> = numbers.map(|number| number.parse().unwrap()).collect();
                assert_eq!(checkpoint.doubles(name).unwrap(), expected, "{name}");
            }
            "float32" | "float16" | "bfloat16" => {
                let expected: Vec<f32> = numbers.map(|number| number.parse().unwrap()).collect();
                assert_eq!(checkpoint.values(name).unwrap(), expected, "{name}");
            }
            _ => {
                let number = |number: &str| match number {
                    "True" => 1,
                    "False" => 0,
                    _ => number.parse().unwrap(),
                };
                let expected: Vec<i64> = numbers.map(number).collect();
                assert_eq!(checkpoint.integers(name).unwrap(), expected, "{name}");
            }
        }
    }
    assert_eq!(checkpoint.values("f64").unwrap(), [0.1, f32::INFINITY]);
}

#[test]
fn what_is_asked_of_a_tensor_must_fit_it() {
    let checkpoint = read(GOLDEN).unwrap();
    let messages = [
        checkpoint.values("i64").unwrap_err().to_string(),
        checkpoint.doubles("bf16").unwrap_err().to_string(),
        checkpoint.integers("number").unwrap_err().to_string(),
        checkpoint.values("none").unwrap_err().to_string(),
        checkpoint.values_of("u8", &[3]).unwrap_err().to_string(),
    ];
    let expected = [
        "tensor \"i64\" holds I64, expected floats",
        "tensor \"bf16\" holds BF16, expected F32 or F64",
        "tensor \"number\" holds F32, expected integers",
        "weight \"none\" is missing",
        "weight \"u8\" has shape [2], expected [3]",
    ];
    assert_eq!(messages, expected);
}

#[test]
fn files_cut_anywhere_are_refused() {
    let shapes = [("a", [2].as_slice()), ("b", &[])];
    let mut safetensors = header(shapes, &BTreeMap::new());
    safetensors.extend([0; 12]);
    read(&safetensors).unwrap();
    for whole in [safetensors.as_slice(), GOLDEN] {
        for len in 0..whole.len() {
            assert!(read(&whole[..len]).is_err(), "{len} of {}", whole.len());
        }
    }
    let added = [safetensors.as_slice(), &[0]].concat();
    let len = safetensors.len();
    let expected = format!("the file has {} bytes, expected {len}", len + 1);
    assert_eq!(refused(&added), expected);
}

#[test]
fn other_files_are_told_apart() {
    let neither = "it is neither a safetensors file nor a torch zip file";
    assert_eq!(refused(b""), neither);
    assert_eq!(refused(b"\x89PNG\r\n\x1a\n0000"), neither);
    let legacy = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
    let hint = "it is a torch file from before torch 1.6; load it with torch and save it again";
    assert_eq!(refused(legacy), hint);
    let zip = torch_file(&[("word/document.xml", b"")]);
    assert_eq!(refused(&zip), "the torch file has no member \"data.pkl\"");
    let long = [&u64::MAX.to_le_bytes(), b"{".as_slice()].concat();
    let limit = "the header has 18446744073709551615 bytes, expected at most 100000000";
    assert_eq!(refused(&long), limit);
    let missing = Checkpoint::open(Path::new("/nonexistent/w")).unwrap_err();
    assert_eq!(missing.to_string(), "reading \"/nonexistent/w\"");
}

#[test]
fn safetensors_with_gaps_or_overlaps_are_refused() {
    for offsets in ["[4,8]", "[0,8]", "[4,0]", "[0,18446744073709551615]"] {
        let json = format!(r#"{{"w":{{"dtype":"F32","shape":[1],"data_offsets":{offsets}}}}}"#);
        let len = (json.len() as u64).to_le_bytes();
        let file = [len.as_slice(), json.as_bytes(), &[0; 8]].concat();
        let expected = "tensor \"w\" of shape [1] does not fit the bytes that the file has for it";
        assert_eq!(refused(&file), expected, "{offsets}");
    }
}

#[test]
fn what_is_no_tensor_is_refused_and_not_executed() {
    let witness = tempfile::tempdir().unwrap().keep().join("witness");
    let command = format!("touch {}", witness.display());
    let len = (command.len() as u32).to_le_bytes();
    let call = [
        b"cos\nsystem\n(X",
        len.as_slice(),
        command.as_bytes(),
        b"tR",
    ]
    .concat();
    let expected = "the pickle asks for \"os.system\", which is not a tensor; it was not executed";
    assert_eq!(refused(&pickled(&dict(b'w', &call))), expected);
    // As protocol 4 spells it; and with a real tensor beside it.
    let modern = b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94\x93\x94\x8c\x02ls\x94\x85\x94R\x94.";
    assert_eq!(refused(&pickled(modern)), expected);
    let beside = [
        tensor(12, 0, &[2], &[1]).as_slice(),
        b"sX\x01\0\0\0e",
        &call,
    ]
    .concat();
    assert_eq!(refused(&pickled(&dict(b'w', &beside))), expected);
    assert!(!witness.exists());
    std::fs::remove_dir_all(witness.parent().unwrap()).unwrap();
}

#[test]
fn strides_and_offsets_find_their_numbers() {
    assert_eq!(bytes_of(12, 0, &[3], &[1]).unwrap(), [0, 1, 2]);
    assert_eq!(
        bytes_of(12, 1, &[2, 3], &[1, 4]).unwrap(),
        [1, 5, 9, 2, 6, 10]
    );
    assert_eq!(bytes_of(12, 11, &[1, 1], &[7, 9]).unwrap(), [11]);
    assert_eq!(bytes_of(12, 3, &[], &[]).unwrap(), [3]);
    assert_eq!(bytes_of(12, 12, &[0, 5], &[5, 1]).unwrap(), [0_i64; 0]);
}

#[test]
fn tensors_beyond_their_bytes_are_refused() {
    let cases: [(u8, u8, &[u8], &[u8]); 7] = [
        (13, 0, &[1], &[1]),        // a storage longer than its member
        (12, 0, &[13], &[1]),       // too many numbers
        (12, 12, &[1], &[1]),       // an offset at the end
        (12, 13, &[0], &[1]),       // an offset behind it
        (12, 0, &[2, 2], &[11, 1]), // strides that reach beyond
        (12, 0, &[13], &[0]),       // numbers shown more often than there are
        (12, 0, &[255; 9], &[255; 9]),
    ];
    for (len, offset, shape, strides) in cases {
        let error = bytes_of(len, offset, shape, strides).unwrap_err();
        assert!(error.starts_with("tensor \"w\" of shape"), "{error}");
    }
    let axes = bytes_of(12, 0, &[1; 17], &[1; 17]).unwrap_err();
    assert!(axes.ends_with("it is too large"), "{axes}");
    let uneven = bytes_of(12, 0, &[1], &[1, 1]).unwrap_err();
    assert!(uneven.ends_with("unexpected operand"), "{uneven}");
}

#[test]
fn a_state_dict_is_found_at_the_top_or_one_level_down() {
    let weights = tensor(12, 0, &[2], &[1]);
    let inner = [b"}X\x01\0\0\0w", weights.as_slice(), b"s"].concat();
    for name in ["state_dict", "model"] {
        let len = (name.len() as u32).to_le_bytes();
        let nested = [b"K\x07sX", len.as_slice(), name.as_bytes(), &inner].concat();
        let checkpoint = read(&pickled(&dict(b'e', &nested))).unwrap();
        assert_eq!(checkpoint.integers("w").unwrap(), [0, 1], "{name}");
    }
    // At the top, what is no tensor is skipped; one level down nothing else may be.
    let mixed = [weights.as_slice(), b"sX\x01\0\0\0eK\x07"].concat();
    assert_eq!(
        read(&pickled(&dict(b'w', &mixed))).unwrap().entries().len(),
        1
    );
    let nested = [b"K\x07sX\x05\0\0\0model}X\x01\0\0\0xK\x01s".as_slice()].concat();
    assert_eq!(
        refused(&pickled(&dict(b'e', &nested))),
        "\"x\" is not a tensor"
    );
    let nothing = "the pickle holds no dictionary of tensors";
    assert_eq!(refused(&pickled(&dict(b'e', b"K\x07"))), nothing);
    assert_eq!(refused(&pickled(b"\x80\x02K\x07.")), nothing);
    assert_eq!(read(&pickled(b"\x80\x02}.")).unwrap().entries().len(), 0);
}

#[test]
fn newer_protocols_are_read() {
    let pickle = [
        b"\x80\x04\x95\0\0\0\0\0\0\0\0}\x94(\x8c\x01w\x94\x8c\x0ctorch._utils\x94".as_slice(),
        b"\x8c\x12_rebuild_tensor_v2\x94\x93\x94((\x8c\x07storage\x94",
        b"\x8c\x05torch\x94\x8c\x0bByteStorage\x94\x93\x94\x8c\x010\x94\x8c\x03cpu\x94",
        b"K\x0ct\x94QM\x01\0K\x02K\x02\x86\x94J\x02\0\0\0\x8a\x01\x01\x86\x94\x89}\x94t\x94Ru.",
    ]
    .concat();
    let checkpoint = read(&pickled(&pickle)).unwrap();
    assert_eq!(checkpoint.integers("w").unwrap(), [1, 2, 3, 4]);
}

#[test]
fn damaged_pickles_say_where() {
    let cases: [(&[u8], &str); 9] = [
        (b"\x80\x02}", "at byte 3: it ends early"),
        (b"\x80\x02\x81.", "at byte 3: unexpected opcode 0x81"),
        (b"\x80\x06}.", "at byte 2: protocol 6, expected 2 to 5"),
        (b"\x80\x02.", "at byte 3: the stack is empty"),
        (b"\x80\x02}(s.", "at byte 5: the stack is empty"),
        (b"\x80\x02}t.", "at byte 4: the stack is empty"),
        (b"\x80\x02K\x01)R.", "at byte 6: unexpected operand"),
        (b"\x80\x02h\x05.", "at byte 4: nothing was kept under 5"),
        (
            b"\x80\x02X\x01\0\0\0\xff.",
            "at byte 8: a text is not UTF-8",
        ),
    ];
    for (pickle, expected) in cases {
        let expected = format!("the pickle is not understood {expected}");
        assert_eq!(refused(&pickled(pickle)), expected);
    }
    // A dictionary that holds itself, and tuples half a million deep: neither is walked.
    let nothing = "the pickle holds no dictionary of tensors";
    assert_eq!(refused(&pickled(b"\x80\x02}q\0X\x01\0\0\0wh\0s.")), nothing);
    let deep = [b")", b"\x85".repeat(1 << 19).as_slice()].concat();
    assert_eq!(refused(&pickled(&dict(b'w', &deep))), nothing);
    let endless = refused(&pickled(&b"}".repeat(2 << 20)));
    assert!(endless.ends_with("it is too large"), "{endless}");
}

#[test]
fn torch_files_that_cannot_be_read_in_place_are_refused() {
    let pickle = dict(b'w', &tensor(4, 0, &[4], &[1]));
    let parts: [(&str, &[u8]); 3] = [
        ("data.pkl", &pickle),
        ("byteorder", b"big"),
        ("data/0", &[0; 4]),
    ];
    let big = torch_file(&parts);
    assert_eq!(
        refused(&big),
        "the byte order is \"big\", expected \"little\""
    );
    let without = torch_file(&parts[..1]);
    assert_eq!(
        refused(&without),
        "the torch file has no member \"x/data/0\""
    );
    // Of the last entry of the directory: the method is 10 bytes in; 8 says that it is deflated.
    let mut deflated = torch_file(&[parts[0], parts[2]]);
    let entry = deflated
        .windows(4)
        .rposition(|magic| magic == b"PK\x01\x02")
        .unwrap();
    deflated[entry + 10] = 8;
    assert_eq!(
        refused(&deflated),
        "member \"x/data/0\" does not lie in the file as it is"
    );
}

#[test]
fn strided_numbers_are_found_across_chunks() {
    let bytes: Vec<u8> = (0..300 * 400u32).flat_map(u32::to_le_bytes).collect();
    let read = |shape: &[usize], strides: &[usize]| {
        let place = Place::strided(0, shape, strides);
        values::read(&mut Cursor::new(&bytes), shape, &place, u32::from_le_bytes).unwrap()
    };
    assert_eq!(
        read(&[300, 400], &[400, 1]),
        (0..300 * 400).collect::<Vec<_>>()
    );
    let transposed = (0..400).flat_map(|x| (0..300).map(move |y| y * 400 + x));
    assert_eq!(read(&[400, 300], &[1, 400]), transposed.collect::<Vec<_>>());
    let sparse = (0..2).flat_map(|x| (0..3).map(move |y| y * 50_000 + x * 7));
    assert_eq!(read(&[2, 3], &[7, 50_000]), sparse.collect::<Vec<_>>());
}
