//! The pickle of a dictionary of tensors, in protocol 2 as `torch.save` writes it.

/// A dictionary of row-major F32 tensors (name, shape); the storage of each is its place in the list.
pub(super) fn state_dict(tensors: &[(String, Vec<usize>)]) -> Vec<u8> {
    let mut pickle = vec![0x80, 2, b'}', b'('];
    for (at, (name, shape)) in tensors.iter().enumerate() {
        text(&mut pickle, name);
        pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n(");
        pickle.push(b'(');
        text(&mut pickle, "storage");
        pickle.extend(b"ctorch\nFloatStorage\n");
        text(&mut pickle, &at.to_string());
        text(&mut pickle, "cpu");
        integer(&mut pickle, shape.iter().product());
        pickle.extend(b"tQ");
        integer(&mut pickle, 0);
        integers(&mut pickle, shape);
        integers(&mut pickle, &row_major(shape));
        // Needs no gradient, and has no hooks.
        pickle.extend(b"\x89ccollections\nOrderedDict\n)RtR");
    }
    pickle.extend(b"u.");
    pickle
}

fn row_major(shape: &[usize]) -> Vec<usize> {
    (1..=shape.len())
        .map(|axis| shape[axis..].iter().product())
        .collect()
}

fn text(pickle: &mut Vec<u8>, text: &str) {
    pickle.push(b'X');
    pickle.extend((text.len() as u32).to_le_bytes());
    pickle.extend(text.as_bytes());
}

fn integers(pickle: &mut Vec<u8>, values: &[usize]) {
    pickle.push(b'(');
    for &value in values {
        integer(pickle, value);
    }
    pickle.push(b't');
}

fn integer(pickle: &mut Vec<u8>, value: usize) {
    match (u8::try_from(value), i32::try_from(value)) {
        (Ok(value), _) => pickle.extend([b'K', value]),
        (_, Ok(value)) => {
            pickle.push(b'J');
            pickle.extend(value.to_le_bytes());
        }
        // The highest bit is the sign; no size comes near it.
        _ => {
            pickle.extend([0x8a, 8]);
            pickle.extend((value as u64).to_le_bytes());
        }
    }
}
