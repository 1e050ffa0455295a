//! Two nets that were published as two files, one before the other, as one.

use anyhow::{Context, ensure};
use prost::Message;
use tract_onnx::pb::ModelProto;

use super::{Net, axes, shown};
use crate::anchor::model::Output;
use crate::graft::graft;
use crate::onnx::Graph;

/// What becomes of a net's output before the next one takes it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Between {
    /// It is multiplied by this.
    pub scale: f32,
    /// And then this is added.
    pub offset: f32,
}

impl Net {
    /// This net behind another one, whose only output, scaled, it takes in the shape of its own input.
    ///
    /// # Errors
    ///
    /// Nets of several inputs or outputs, or an input whose shape is not said.
    pub fn behind(self, before: Self, between: Between) -> anyhow::Result<Self> {
        let (input, taken) = self.only_input()?;
        let fixed: Option<Vec<usize>> = taken.iter().skip(1).copied().collect();
        let shape = fixed.filter(|shape| !shape.is_empty()).with_context(|| {
            format!(
                "{:?}: input {input:?} is {}, expected a shape that is said, since another net comes \
                 before it",
                self.path,
                shown(&taken)
            )
        })?;
        let (_, heard) = before.only_input()?;
        let [output] = &before.graph.output[..] else {
            let outputs = before.outputs();
            anyhow::bail!(
                "{:?} has the outputs {outputs:?}, expected one",
                before.path
            );
        };
        let output = Output::Name(output.name.clone());

        let mut link = Graph::new();
        // A row at a time, as encoders are run; another number of frames fails here.
        let one: Vec<i64> = [1]
            .into_iter()
            .chain(shape.iter().map(|len| *len as i64))
            .collect();
        let scale = link.floats("between.scale", &[1], &[between.scale]);
        let offset = link.floats("between.offset", &[1], &[between.offset]);
        let target = link.ints("between.shape", &one);
        let scaled = link.node("Mul", "between.scaled", &["before", &scale], &[]);
        let moved = link.node("Add", "between.moved", &[&scaled, &offset], &[]);
        let shaped = link.node("Reshape", "between.shaped", &[&moved, &target], &[]);
        let link = link.to_bytes("between", ("before", &shape), (&shaped, &shape));

        let path = before.path.clone();
        let first = before.into_bytes()?;
        let linked = graft(&first, Some(&output), &link).with_context(|| format!("{path:?}"))?;
        let last = self.path.clone();
        let next = self.into_bytes()?;
        let whole = graft(&linked, None, &next).with_context(|| format!("{last:?}"))?;
        let mut model = ModelProto::decode(&whole[..])?;
        let graph = model.graph.take().context("it holds no graph")?;
        let net = Self {
            path: last,
            model,
            graph,
        };
        let (name, now) = net.only_input()?;
        ensure!(
            now == heard,
            "input {name:?} is {}, expected {}, which {path:?} takes",
            shown(&now),
            shown(&heard)
        );
        Ok(net)
    }
}

/// Whether rows of an output are vectors: all axes but the first and one are 1.
pub(super) fn gives_vectors(output: &tract_onnx::pb::ValueInfoProto) -> bool {
    let others = axes(output).into_iter().skip(1);
    others.filter(|axis| *axis != Some(1)).count() <= 1
}
