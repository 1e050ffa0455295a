//! The zip file that `torch.save` writes.
//!
//! ```text
//! NAME/data.pkl      a dictionary whose tensors refer to storages
//! NAME/byteorder     "little"; older files lack it
//! NAME/data/KEY      a storage, as it lies in memory
//! ```

use std::io::{BufReader, Read, Seek};

use zip::{CompressionMethod, ZipArchive};

use super::pickle::{self, View};
use super::values::Place;
use super::{CheckpointError, Entry, Index};

/// Most bytes of a pickle: the reference's, with 1311 tensors, has 0.2 million.
const MAX_PICKLE_BYTES: u64 = 16 << 20;

/// Most bytes of the name of a byte order.
const MAX_BYTE_ORDER_BYTES: u64 = 64;

/// Reads the index of a file of `file_len` bytes.
pub(super) fn index<R: Read + Seek>(
    reader: &mut R,
    file_len: u64,
) -> Result<Index, CheckpointError> {
    let mut buffered = BufReader::new(&mut *reader);
    let zip = ZipArchive::new(&mut buffered)?;
    let folder = zip
        .file_names_raw()
        .filter_map(|name| str::from_utf8(name).ok()?.strip_suffix("data.pkl"))
        .find(|folder| folder.ends_with('/') && folder.matches('/').count() == 1)
        .map(str::to_owned);
    let mut members = Members { zip, file_len };
    let folder = folder.ok_or_else(|| missing("data.pkl"))?;

    if let Some(order) = members.content(&format!("{folder}byteorder"), MAX_BYTE_ORDER_BYTES)? {
        let actual = String::from_utf8_lossy(order.trim_ascii()).into_owned();
        if actual != "little" {
            return Err(CheckpointError::ByteOrder { actual });
        }
    }
    let pickle = members.content(&format!("{folder}data.pkl"), MAX_PICKLE_BYTES)?;
    let pickle = pickle.ok_or_else(|| missing("data.pkl"))?;
    let mut index = Index::default();
    for (name, view) in pickle::tensors(&pickle)? {
        let member = format!("{folder}data/{}", view.storage.key);
        let member = members.find(&member)?.ok_or_else(|| missing(&member))?;
        let Some(place) = place_of(&view, &member) else {
            let shape = view.shape;
            return Err(CheckpointError::Bounds { name, shape });
        };
        let entry = Entry {
            dtype: view.storage.dtype,
            shape: view.shape,
            place,
        };
        index.entries.insert(name, entry);
    }
    Ok(index)
}

fn missing(name: &str) -> CheckpointError {
    CheckpointError::Member {
        name: name.to_owned(),
    }
}

/// Where a member's content lies; all of it is in the file.
struct Member {
    index: usize,
    start: u64,
    len: u64,
}

struct Members<'a, R> {
    zip: ZipArchive<&'a mut BufReader<R>>,
    file_len: u64,
}

impl<R: Read + Seek> Members<'_, R> {
    fn find(&mut self, name: &str) -> Result<Option<Member>, CheckpointError> {
        let Some(index) = self.zip.index_for_name(name) else {
            return Ok(None);
        };
        let file = self.zip.by_index_raw(index)?;
        let len = file.size();
        let as_is = file.compression() == CompressionMethod::Stored
            && file.compressed_size() == len
            && !file.encrypted();
        let start = file.data_start().filter(|start| {
            let end = start.checked_add(len);
            as_is && end.is_some_and(|end| end <= self.file_len)
        });
        match start {
            Some(start) => Ok(Some(Member { index, start, len })),
            None => Err(CheckpointError::Storage {
                name: name.to_owned(),
            }),
        }
    }

    /// The bytes of a member that is to be small.
    fn content(&mut self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, CheckpointError> {
        let Some(Member { index, len, .. }) = self.find(name)? else {
            return Ok(None);
        };
        if len > limit {
            return Err(CheckpointError::MemberLength {
                name: name.to_owned(),
                actual: len,
                limit,
            });
        }
        let mut bytes = vec![0; len as usize];
        self.zip.by_index_raw(index)?.read_exact(&mut bytes)?;
        Ok(Some(bytes))
    }
}

/// Where a tensor lies in its storage, which lies in a member; none if it reaches beyond, or shows
/// numbers more than once and so could be larger than any file.
fn place_of(view: &View, member: &Member) -> Option<Place> {
    let storage = &view.storage;
    let number_bytes = storage.dtype.bitsize() / 8;
    let storage_bytes = storage.len.checked_mul(number_bytes)?;
    let axes = || view.shape.iter().copied();
    let count = axes().try_fold(1, usize::checked_mul)?;
    let mut last = view.offset;
    if count > 0 {
        for (len, stride) in axes().zip(&view.strides) {
            last = last.checked_add((len - 1).checked_mul(*stride)?)?;
        }
    }
    let fits = storage_bytes as u64 <= member.len && count <= storage.len;
    let inside = last < storage.len || count == 0 && last <= storage.len;
    (fits && inside).then(|| {
        let start = member.start + (view.offset * number_bytes) as u64;
        if count == 0 {
            return Place::dense(start);
        }
        Place::strided(start, &view.shape, &view.strides)
    })
}
