//! The stack machine: which opcode does what.

use std::collections::HashMap;

use super::{Callable, CheckpointError, PickleFault, Value};

/// Most values of one pickle, and most of them kept for later: fifty times what the reference's 1311
/// tensors make. With it a hostile pickle cannot turn its bytes into many times as much memory.
const MAX_VALUES: usize = 1 << 20;

/// Place of a value in the machine's list.
pub(super) type Id = usize;

pub(super) struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    /// All values ever made; they refer to one another by place.
    values: Vec<Value>,
    stack: Vec<Id>,
    /// Heights of the stack at which marks lie.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl<'a> Machine<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        }
    }

    pub(super) fn value(&self, id: Id) -> &Value {
        &self.values[id]
    }

    pub(super) fn fault(&self, fault: PickleFault) -> CheckpointError {
        CheckpointError::Pickle { at: self.at, fault }
    }

    pub(super) fn keep(&mut self, value: Value) -> Result<Id, CheckpointError> {
        if self.values.len() == MAX_VALUES {
            return Err(self.fault(PickleFault::Size));
        }
        self.values.push(value);
        Ok(self.values.len() - 1)
    }

    /// Runs to the end; gives the value that is left.
    pub(super) fn run(&mut self) -> Result<Id, CheckpointError> {
        loop {
            let [opcode] = self.take()?;
            match opcode {
                b'.' => return self.pop(),
                0x80 => self.protocol()?,
                0x95 => _ = self.take::<8>()?, // a frame's length
                b'(' => self.marks.push(self.stack.len()),
                b'0' => _ = self.pop()?,
                b'1' => _ = self.pop_to_mark()?,
                b'2' => self.stack.push(self.top()?),

                b'N' | 0x88 | 0x89 | b']' => self.push(Value::Opaque)?,
                b'}' => self.push(Value::Dict(Vec::new()))?,
                b')' => self.push(Value::Tuple(Vec::new()))?,
                b'G' => {
                    self.take::<8>()?;
                    self.push(Value::Opaque)?;
                }
                b'K' => {
                    let [byte] = self.take()?;
                    self.push(Value::Int(i64::from(byte)))?;
                }
                b'M' => {
                    let value = u16::from_le_bytes(self.take()?);
                    self.push(Value::Int(i64::from(value)))?;
                }
                b'J' => {
                    let value = i32::from_le_bytes(self.take()?);
                    self.push(Value::Int(i64::from(value)))?;
                }
                0x8a => self.long()?,
                0x8c => {
                    let [len] = self.take()?;
                    self.text(usize::from(len))?;
                }
                b'X' => {
                    let len = u32::from_le_bytes(self.take()?);
                    self.text(len as usize)?;
                }
                b'C' => {
                    let [len] = self.take()?;
                    self.slice(usize::from(len))?;
                    self.push(Value::Opaque)?;
                }
                b'B' => {
                    let len = u32::from_le_bytes(self.take()?);
                    self.slice(len as usize)?;
                    self.push(Value::Opaque)?;
                }

                b't' => {
                    let parts = self.pop_to_mark()?;
                    self.push(Value::Tuple(parts))?;
                }
                0x85..=0x87 => {
                    let count = usize::from(opcode - 0x84);
                    let from = self.height_below(count)?;
                    let parts = self.stack.split_off(from);
                    self.push(Value::Tuple(parts))?;
                }
                b's' => {
                    let (value, key) = (self.pop()?, self.pop()?);
                    self.set(vec![key, value])?;
                }
                b'u' => {
                    let pairs = self.pop_to_mark()?;
                    self.set(pairs)?;
                }
                // Lists are opaque.
                b'a' => {
                    self.pop()?;
                    self.top()?;
                }
                b'e' => {
                    self.pop_to_mark()?;
                    self.top()?;
                }

                b'q' => {
                    let [key] = self.take()?;
                    self.memorize(u32::from(key))?;
                }
                b'r' => {
                    let key = u32::from_le_bytes(self.take()?);
                    self.memorize(key)?;
                }
                0x94 => self.memorize(self.memo.len() as u32)?,
                b'h' => {
                    let [key] = self.take()?;
                    self.recall(u32::from(key))?;
                }
                b'j' => {
                    let key = u32::from_le_bytes(self.take()?);
                    self.recall(key)?;
                }

                b'c' => {
                    let (module, name) = (self.line()?, self.line()?);
                    let callable = Callable::of(module, name)?;
                    self.push(Value::Callable(callable))?;
                }
                0x93 => {
                    let (name, module) = (self.pop()?, self.pop()?);
                    let (Value::Text(module), Value::Text(name)) =
                        (self.value(module), self.value(name))
                    else {
                        return Err(self.fault(PickleFault::Operand));
                    };
                    let callable = Callable::of(module, name)?;
                    self.push(Value::Callable(callable))?;
                }
                b'R' => self.reduce()?,
                // An object's attributes, such as a state dict's version: of no use here.
                b'b' => {
                    self.pop()?;
                    self.top()?;
                }
                b'Q' => {
                    let id = self.pop()?;
                    let loaded = self.load(id)?;
                    self.stack.push(loaded);
                }
                _ => return Err(self.fault(PickleFault::Opcode(opcode))),
            }
        }
    }

    fn protocol(&mut self) -> Result<(), CheckpointError> {
        match self.take()? {
            [2..=5] => Ok(()),
            [protocol] => Err(self.fault(PickleFault::Protocol(protocol))),
        }
    }

    /// A two's complement number of any length. One that no `i64` holds is no size of anything.
    fn long(&mut self) -> Result<(), CheckpointError> {
        let [len] = self.take()?;
        let digits = self.slice(usize::from(len))?;
        let value = if digits.len() <= 8 {
            let negative = digits.last().is_some_and(|last| last & 0x80 != 0);
            let mut bytes = if negative { [0xff; 8] } else { [0; 8] };
            bytes[..digits.len()].copy_from_slice(digits);
            Value::Int(i64::from_le_bytes(bytes))
        } else {
            Value::Opaque
        };
        self.push(value)
    }

    fn text(&mut self, len: usize) -> Result<(), CheckpointError> {
        let bytes = self.slice(len)?;
        let text = self.utf8(bytes)?.to_owned();
        self.push(Value::Text(text))
    }

    fn set(&mut self, pairs: Vec<Id>) -> Result<(), CheckpointError> {
        let (pairs, rest) = pairs.as_chunks::<2>();
        let dict = self.top()?;
        match &mut self.values[dict] {
            Value::Dict(known) if rest.is_empty() => {
                known.extend(pairs.iter().map(|&[key, value]| (key, value)));
                Ok(())
            }
            _ => Err(self.fault(PickleFault::Operand)),
        }
    }

    fn memorize(&mut self, key: u32) -> Result<(), CheckpointError> {
        let top = self.top()?;
        if self.memo.len() == MAX_VALUES {
            return Err(self.fault(PickleFault::Size));
        }
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall(&mut self, key: u32) -> Result<(), CheckpointError> {
        let id = self.memo.get(&key).copied();
        let id = id.ok_or_else(|| self.fault(PickleFault::Memo(key)))?;
        self.stack.push(id);
        Ok(())
    }

    fn reduce(&mut self) -> Result<(), CheckpointError> {
        let (arguments, callable) = (self.pop()?, self.pop()?);
        let (Value::Callable(callable), Value::Tuple(arguments)) =
            (self.value(callable), self.value(arguments))
        else {
            return Err(self.fault(PickleFault::Operand));
        };
        let callable = *callable;
        // Enough for every function that has a meaning; a longer list is not worth copying.
        let arguments = arguments[..arguments.len().min(8)].to_vec();
        let result = self.call(callable, &arguments)?;
        self.stack.push(result);
        Ok(())
    }

    fn push(&mut self, value: Value) -> Result<(), CheckpointError> {
        let id = self.keep(value)?;
        self.stack.push(id);
        Ok(())
    }

    fn pop(&mut self) -> Result<Id, CheckpointError> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn top(&self) -> Result<Id, CheckpointError> {
        let at = self.height_below(1)?;
        Ok(self.stack[at])
    }

    /// Height of the stack without its topmost values, none of which lies below a mark.
    fn height_below(&self, count: usize) -> Result<usize, CheckpointError> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let height = self.stack.len().checked_sub(count);
        height
            .filter(|&height| height >= floor)
            .ok_or_else(|| self.fault(PickleFault::Stack))
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>, CheckpointError> {
        let mark = self.marks.pop();
        let mark = mark.ok_or_else(|| self.fault(PickleFault::Stack))?;
        Ok(self.stack.split_off(mark))
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], CheckpointError> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.slice(N)?);
        Ok(bytes)
    }

    fn slice(&mut self, len: usize) -> Result<&'a [u8], CheckpointError> {
        let rest = &self.bytes[self.at..];
        let slice = rest
            .get(..len)
            .ok_or_else(|| self.fault(PickleFault::Cut))?;
        self.at += len;
        Ok(slice)
    }

    fn line(&mut self) -> Result<&'a str, CheckpointError> {
        let rest = &self.bytes[self.at..];
        let len = rest.iter().position(|&byte| byte == b'\n');
        let len = len.ok_or_else(|| self.fault(PickleFault::Cut))?;
        self.at += len + 1;
        self.utf8(&rest[..len])
    }

    fn utf8(&self, bytes: &'a [u8]) -> Result<&'a str, CheckpointError> {
        let text = str::from_utf8(bytes).ok();
        text.ok_or_else(|| self.fault(PickleFault::Text))
    }
}
