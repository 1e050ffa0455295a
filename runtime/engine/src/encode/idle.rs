//! Reductions over axes of one element, which change nothing and cost the inference library a view of the
//! tensor for every number: mn04 spends seven tenths of its time on eight of them.

use tract_onnx::prelude::{TractResult, TypedModel, TypedModelPatch};
use tract_onnx::tract_core::internal::TypedNode;
use tract_onnx::tract_core::ops::nn::{Reduce, Reducer};

/// Takes reductions out that change nothing.
pub(super) fn skip_idle(model: &mut TypedModel) -> TractResult<()> {
    let all = model.nodes().iter();
    let idle: Vec<usize> = all
        .filter(|node| is_idle(model, node))
        .map(|node| node.id)
        .collect();
    for id in idle {
        if let Some(patch) = TypedModelPatch::shunt_one_op(model, model.node(id))? {
            patch.apply(model)?;
        }
    }
    Ok(())
}

fn is_idle(model: &TypedModel, node: &TypedNode) -> bool {
    let Some(reduce) = node.op_as::<Reduce>() else {
        return false;
    };
    // Their axes stay, with one element; the others give another kind of number.
    let keeps = matches!(
        reduce.reducer,
        Reducer::Max | Reducer::Min | Reducer::Sum | Reducer::Prod
    );
    let fact = node.inputs.first().map(|input| model.outlet_fact(*input));
    keeps
        && fact.and_then(Result::ok).is_some_and(|fact| {
            let one = |axis: &usize| fact.shape.get(*axis).is_some_and(|len| *len == 1.into());
            reduce.axes.iter().all(one)
        })
}

#[cfg(test)]
mod tests {
    use tract_onnx::prelude::*;

    use super::*;

    /// Largest numbers over an axis of `[1, 2, 3]`, and 1 added to them.
    fn largest(axis: usize) -> TypedModel {
        let mut model = TypedModel::default();
        let input = model.add_source("input", f32::fact([1, 2, 3])).unwrap();
        let reduce = Reduce::new(tvec![axis], Reducer::Max);
        let reduced = model.wire_node("reduced", reduce, &[input]).unwrap();
        let one = model.add_const("one", tensor3(&[[[1.0f32]]])).unwrap();
        let add = tract_onnx::tract_core::ops::math::add();
        let sum = model.wire_node("sum", add, &[reduced[0], one]).unwrap();
        model.select_output_outlets(&sum).unwrap();
        model
    }

    fn given(model: TypedModel) -> Vec<f32> {
        let input = tensor3(&[[[1.0f32, -2.5, -3.0], [0.0, 5.0, -6.0]]]);
        let model = model.into_optimized().unwrap().into_runnable().unwrap();
        let output = model.run(tvec![input.into()]).unwrap();
        output[0]
            .to_plain_array_view::<f32>()
            .unwrap()
            .iter()
            .copied()
            .collect()
    }

    fn reductions(model: &TypedModel) -> usize {
        let model = model.clone().into_decluttered().unwrap();
        model
            .nodes()
            .iter()
            .filter(|node| node.op_is::<Reduce>())
            .count()
    }

    #[test]
    fn what_changes_nothing_is_left_out_and_what_does_stays() {
        for (axis, left) in [(0, 0), (1, 1), (2, 1)] {
            let mut model = largest(axis);
            let expected = given(model.clone());
            skip_idle(&mut model).unwrap();
            assert_eq!(reductions(&model), left, "axis {axis}");
            assert_eq!(given(model), expected, "axis {axis}");
        }
    }
}
