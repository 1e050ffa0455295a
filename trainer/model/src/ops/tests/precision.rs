//! Products of 16 bits against those of 32.

use super::*;
use crate::precision::{Products, with_products};

/// A perceptron and a layer after it, of rows with gradients of this size: values and all gradients.
fn outcome_of(products: Products, size: f32) -> Vec<Vec<f32>> {
    with_products(products, || {
        let layers = [layer(10, 24, 48), layer(20, 48, 24), layer(30, 24, 5)];
        let x = numbers(1, [70, 24]);
        let of_x = gradient(&x);
        let of = layers.each_ref().map(of_layer);
        let mut all: Vec<&Of> = vec![&of_x];
        all.extend(of.iter().flatten().map(|of| &**of));
        let y = perceptron([&layers[0], &layers[1]], x);
        outcome(linear(&layers[2], y).mul_scalar(size), &all)
    })
}

/// They differ by what rounding costs, and by no more; and it does cost something, or they were not
/// computed so. Gradients come through whatever their size.
#[test]
fn they_differ_by_rounding_alone() {
    require_device!();
    let expected = outcome_of(Products::F32, 1.0);
    for (products, share) in [(Products::F16, 3e-3), (Products::Bf16, 3e-2)] {
        if !backend::computes(products) {
            let _ = writeln!(
                std::io::stderr(),
                "{}: skipped {products}, which this device has not",
                module_path!()
            );
            continue;
        }
        for size in [1.0, 1e-9, 1e6] {
            let mut actual = outcome_of(products, size);
            for x in actual.iter_mut().flatten() {
                *x /= size;
            }
            within(share, &actual, &expected);
            // The last layer's bias has the gradient of the result itself: no product is in it.
            let (_bias_3, of_products) = actual.split_last().unwrap();
            for (part, actual) in of_products.iter().enumerate() {
                assert_ne!(*actual, expected[part], "{products}, part {part}");
            }
        }
    }
    // What was chosen is over with the work that it was chosen for.
    assert_eq!(crate::precision::products(), Products::F32);
}
