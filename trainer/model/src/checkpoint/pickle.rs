//! The pickle of a torch file, read without executing it.
//!
//! A pickle is a program for a stack machine that can call any Python function. This machine knows
//! the opcodes with which dictionaries, tuples, texts and numbers are built, and as functions only
//! those that put a tensor together; they are carried out here, as data. All else is refused.
//!
//! Opcodes: <https://github.com/python/cpython/blob/main/Lib/pickletools.py>; protocols 2 to 5.

mod machine;

use std::collections::BTreeMap;
use std::rc::Rc;

use safetensors::tensor::Dtype;

use super::{CheckpointError, PickleFault};
use machine::{Id, Machine};

/// Names under which a training checkpoint keeps its weights, in the order of preference.
const NESTED: [&str; 2] = ["state_dict", "model"];

/// Most axes of a tensor.
const MAX_AXES: usize = 16;

/// The bytes that one or more tensors look at.
#[derive(Debug, PartialEq)]
pub(super) struct Storage {
    /// Type of its numbers.
    pub(super) dtype: Dtype,
    /// Name of its member below `data/`.
    pub(super) key: String,
    /// How many numbers it has.
    pub(super) len: usize,
}

/// A tensor as a pickle describes it. Nothing about it was checked against its storage.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct View {
    pub(super) storage: Rc<Storage>,
    /// Numbers of the storage before its first.
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    /// Numbers from one to the next along each axis.
    pub(super) strides: Vec<usize>,
}

/// A value on the stack. What it holds are places in the machine's list of values, so a value that
/// holds itself does no harm.
#[derive(Debug)]
enum Value {
    /// What no tensor needs to look into: nothing, truth, floats, lists, bytes.
    Opaque,
    Int(i64),
    Text(String),
    Tuple(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Callable(Callable),
    Storage(Rc<Storage>),
    Tensor(Box<View>),
}

/// The functions and classes that have a meaning.
#[derive(Debug, Clone, Copy)]
enum Callable {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    StorageOf(Dtype),
}

impl Callable {
    fn of(module: &str, name: &str) -> Result<Self, CheckpointError> {
        Ok(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Self::RebuildParameter,
            ("torch", "FloatStorage") => Self::StorageOf(Dtype::F32),
            ("torch", "DoubleStorage") => Self::StorageOf(Dtype::F64),
            ("torch", "HalfStorage") => Self::StorageOf(Dtype::F16),
            ("torch", "BFloat16Storage") => Self::StorageOf(Dtype::BF16),
            ("torch", "LongStorage") => Self::StorageOf(Dtype::I64),
            ("torch", "IntStorage") => Self::StorageOf(Dtype::I32),
            ("torch", "ShortStorage") => Self::StorageOf(Dtype::I16),
            ("torch", "CharStorage") => Self::StorageOf(Dtype::I8),
            ("torch", "ByteStorage") => Self::StorageOf(Dtype::U8),
            ("torch", "BoolStorage") => Self::StorageOf(Dtype::BOOL),
            _ => {
                let name = format!("{module}.{name}");
                return Err(CheckpointError::Foreign { name });
            }
        })
    }
}

/// The tensors of a pickle by name.
pub(super) fn tensors(bytes: &[u8]) -> Result<BTreeMap<String, View>, CheckpointError> {
    let mut machine = Machine::new(bytes);
    let top = machine.run()?;
    let Value::Dict(outermost) = machine.value(top) else {
        return Err(CheckpointError::Contents);
    };
    let nested = NESTED.iter().find_map(|&wanted| {
        // As in Python, the last of equal keys is the one that counts.
        let (_, value) = outermost
            .iter()
            .rfind(|&&(key, _)| matches!(machine.value(key), Value::Text(key) if key == wanted))?;
        match machine.value(*value) {
            Value::Dict(pairs) => Some(pairs),
            _ => None,
        }
    });
    let mut tensors = BTreeMap::new();
    for &(key, value) in nested.unwrap_or(outermost) {
        match (machine.value(key), machine.value(value)) {
            (Value::Text(name), Value::Tensor(view)) => {
                tensors.insert(name.clone(), View::clone(view));
            }
            (Value::Text(name), _) if nested.is_some() => {
                let name = name.clone();
                return Err(CheckpointError::NotATensor { name });
            }
            (Value::Text(name), _) => {
                tensors.remove(name);
            }
            _ if nested.is_some() => return Err(CheckpointError::Contents),
            _ => {}
        }
    }
    if tensors.is_empty() && !outermost.is_empty() && nested.is_none() {
        return Err(CheckpointError::Contents);
    }
    Ok(tensors)
}

impl Machine<'_> {
    /// What calling a function gives.
    fn call(&mut self, callable: Callable, arguments: &[Id]) -> Result<Id, CheckpointError> {
        match (callable, arguments) {
            (Callable::OrderedDict, []) => self.keep(Value::Dict(Vec::new())),
            // (storage, offset, shape, strides, requires_grad, hooks, ...)
            (Callable::RebuildTensor, [storage, offset, shape, strides, _, ..]) => {
                let Value::Storage(storage) = self.value(*storage) else {
                    return Err(self.fault(PickleFault::Operand));
                };
                let view = View {
                    storage: Rc::clone(storage),
                    offset: self.size(*offset)?,
                    shape: self.sizes(*shape)?,
                    strides: self.sizes(*strides)?,
                };
                if view.shape.len() != view.strides.len() {
                    return Err(self.fault(PickleFault::Operand));
                }
                self.keep(Value::Tensor(Box::new(view)))
            }
            // (tensor, requires_grad, hooks)
            (Callable::RebuildParameter, [tensor, ..]) => match self.value(*tensor) {
                Value::Tensor(_) => Ok(*tensor),
                _ => Err(self.fault(PickleFault::Operand)),
            },
            _ => Err(self.fault(PickleFault::Operand)),
        }
    }

    /// What a persistent id stands for: ("storage", class, key, device, length).
    fn load(&mut self, id: Id) -> Result<Id, CheckpointError> {
        if let Value::Tuple(parts) = self.value(id)
            && let [kind, class, key, _, len] = parts.as_slice()
            && let Value::Text(kind) = self.value(*kind)
            && kind == "storage"
            && let Value::Callable(Callable::StorageOf(dtype)) = self.value(*class)
            && let Value::Text(key) = self.value(*key)
        {
            let storage = Rc::new(Storage {
                dtype: *dtype,
                key: key.clone(),
                len: self.size(*len)?,
            });
            return self.keep(Value::Storage(storage));
        }
        Err(self.fault(PickleFault::Operand))
    }

    fn size(&self, id: Id) -> Result<usize, CheckpointError> {
        match self.value(id) {
            Value::Int(size) => usize::try_from(*size).ok(),
            _ => None,
        }
        .ok_or_else(|| self.fault(PickleFault::Operand))
    }

    fn sizes(&self, id: Id) -> Result<Vec<usize>, CheckpointError> {
        match self.value(id) {
            Value::Tuple(sizes) if sizes.len() <= MAX_AXES => {
                sizes.iter().map(|&size| self.size(size)).collect()
            }
            Value::Tuple(_) => Err(self.fault(PickleFault::Size)),
            _ => Err(self.fault(PickleFault::Operand)),
        }
    }
}
