//! What can be wrong with a checkpoint.

use std::io;
use std::path::PathBuf;

use safetensors::tensor::Dtype;
use thiserror::Error;
use zip::result::ZipError;

/// Why a checkpoint could not be opened, read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The file cannot be opened.
    #[error("reading {path:?}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The index cannot be read.
    #[error("the checkpoint cannot be read")]
    Read(#[from] io::Error),
    /// A tensor's numbers cannot be read.
    #[error("tensor {name:?} cannot be read")]
    Tensor {
        /// The tensor.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("writing {path:?}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The bytes are of no format that is read.
    #[error("it is neither a safetensors file nor a torch zip file")]
    Unknown,
    /// A torch file that is no zip.
    #[error("it is a torch file from before torch 1.6; load it with torch and save it again")]
    Legacy,
    /// A safetensors file that was cut or added to.
    #[error("the file has {actual} bytes, expected {expected}")]
    Length {
        /// Its size.
        actual: u64,
        /// The size that its header adds up to.
        expected: u64,
    },
    /// The header of a safetensors file is longer than any.
    #[error("the header has {actual} bytes, expected at most {limit}")]
    HeaderLength {
        /// Its length.
        actual: u64,
        /// The limit.
        limit: u64,
    },
    /// The header of a safetensors file is not what a header is.
    #[error("the safetensors header is not understood")]
    Header(#[source] serde_json::Error),
    /// A torch file that was cut, or whose zip directory is damaged.
    #[error("the torch file is not a whole zip file")]
    Zip(#[from] ZipError),
    /// A torch file lacks a part of itself.
    #[error("the torch file has no member {name:?}")]
    Member {
        /// What is not there.
        name: String,
    },
    /// A member that describes the others is longer than any.
    #[error("member {name:?} has {actual} bytes, expected at most {limit}")]
    MemberLength {
        /// The member.
        name: String,
        /// Its length.
        actual: u64,
        /// The limit.
        limit: u64,
    },
    /// A member is compressed, or reaches beyond the file.
    #[error("member {name:?} does not lie in the file as it is")]
    Storage {
        /// The member.
        name: String,
    },
    /// The numbers are not little-endian.
    #[error("the byte order is {actual:?}, expected \"little\"")]
    ByteOrder {
        /// The order that the file names.
        actual: String,
    },
    /// The pickle of a torch file is damaged, or does what no dictionary of tensors needs.
    #[error("the pickle is not understood at byte {at}: {fault}")]
    Pickle {
        /// Where.
        at: usize,
        /// What is wrong there.
        fault: PickleFault,
    },
    /// The pickle of a torch file wants a function or class that is no part of a tensor.
    #[error("the pickle asks for {name:?}, which is not a tensor; it was not executed")]
    Foreign {
        /// Its module and name.
        name: String,
    },
    /// The pickle of a torch file holds something else than a dictionary with tensors.
    #[error("the pickle holds no dictionary of tensors")]
    Contents,
    /// Something beside tensors in a dictionary that should hold nothing else.
    #[error("{name:?} is not a tensor")]
    NotATensor {
        /// Its name in the dictionary.
        name: String,
    },
    /// A tensor's shape, strides and place do not fit the bytes that there are.
    #[error("tensor {name:?} of shape {shape:?} does not fit the bytes that the file has for it")]
    Bounds {
        /// The tensor.
        name: String,
        /// The shape that the file claims.
        shape: Vec<usize>,
    },
    /// A tensor holds another type of number than was asked for.
    #[error("tensor {name:?} holds {actual:?}, expected {expected}")]
    Type {
        /// The tensor.
        name: String,
        /// Its type.
        actual: Dtype,
        /// The types that can be read that way.
        expected: &'static str,
    },
    /// A file to be written would hold two tensors of one name.
    #[error("tensor {name:?} is listed twice")]
    Duplicate {
        /// The tensor.
        name: String,
    },
    /// A tensor was written before its turn.
    #[error("tensor {actual:?} was written, expected {expected:?}")]
    Turn {
        /// The tensor that was given.
        actual: String,
        /// The one whose turn it was.
        expected: String,
    },
    /// A tensor was written when all were there.
    #[error("tensor {name:?} was written after the last")]
    Surplus {
        /// The tensor.
        name: String,
    },
    /// A tensor was written with too few or too many numbers.
    #[error("tensor {name:?} was written with {actual} values, expected {expected}")]
    Values {
        /// The tensor.
        name: String,
        /// How many were given.
        actual: usize,
        /// How many its shape has.
        expected: usize,
    },
    /// A file was finished before all its tensors were written.
    #[error("{actual} tensors were written, expected {expected}")]
    Unfinished {
        /// How many were written.
        actual: usize,
        /// How many were announced.
        expected: usize,
    },
}

/// What is wrong with a pickle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PickleFault {
    /// The bytes end before the pickle does.
    #[error("it ends early")]
    Cut,
    /// An opcode that no dictionary of tensors needs.
    #[error("unexpected opcode {0:#04x}")]
    Opcode(u8),
    /// A protocol that does not exist, or is older than torch's.
    #[error("protocol {0}, expected 2 to 5")]
    Protocol(u8),
    /// An opcode lacks its operands.
    #[error("the stack is empty")]
    Stack,
    /// An opcode has operands of another kind.
    #[error("unexpected operand")]
    Operand,
    /// A value is fetched that was never kept.
    #[error("nothing was kept under {0}")]
    Memo(u32),
    /// A text that is not UTF-8.
    #[error("a text is not UTF-8")]
    Text,
    /// More values or axes than any dictionary of tensors needs.
    #[error("it is too large")]
    Size,
}
