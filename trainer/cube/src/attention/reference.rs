//! Attention by its definition, in 64 bits.

use super::{Attention, Operands};

/// Score and weights of one query, and where its keys and values are.
struct Query<'a> {
    sizes: &'a Attention,
    operands: Operands<&'a [f64]>,
    batch: usize,
    head: usize,
    token: usize,
}

impl Query<'_> {
    /// Where number 0 of this head is, in the packed operand (`Ok`) or the extra key or value.
    fn place(&self, which: usize, key: usize) -> Result<usize, usize> {
        let Attention {
            tokens, head_dim, ..
        } = *self.sizes;
        let dim = self.sizes.dim();
        if key == tokens {
            return Err(self.head * head_dim);
        }
        Ok(((self.batch * tokens + key) * 3 + which) * dim + self.head * head_dim)
    }

    fn part(&self, which: usize, key: usize) -> &[f64] {
        let from = match (self.place(which, key), self.operands.bias) {
            (Ok(at), _) => &self.operands.packed[at..],
            (Err(at), Some(bias)) => &bias[which - 1][at..],
            (Err(_), None) => &[],
        };
        &from[..self.sizes.head_dim]
    }

    fn weights(&self) -> (Vec<f64>, f64) {
        let scale = (self.sizes.head_dim as f64).powf(-0.5);
        let query = self.part(0, self.token);
        let scores: Vec<f64> = (0..self.sizes.visible(self.token))
            .map(|key| dot(query, self.part(1, key)) * scale)
            .collect();
        let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = scores.iter().map(|x| (x - largest).exp()).sum();
        let log = largest + sum.ln();
        (scores.iter().map(|x| (x - log).exp()).collect(), log)
    }

    /// Where the output of this query is.
    fn output(&self) -> usize {
        let Attention {
            tokens, head_dim, ..
        } = *self.sizes;
        (self.batch * tokens + self.token) * self.sizes.dim() + self.head * head_dim
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn queries<'a>(
    sizes: &'a Attention,
    operands: Operands<&'a [f64]>,
) -> impl Iterator<Item = Query<'a>> {
    (0..sizes.rows()).map(move |row| Query {
        sizes,
        operands,
        batch: row / sizes.tokens / sizes.heads,
        head: row / sizes.tokens % sizes.heads,
        token: row % sizes.tokens,
    })
}

/// As [`super::forward`].
#[must_use]
pub fn forward(sizes: &Attention, operands: Operands<&[f64]>) -> [Vec<f64>; 2] {
    let mut output = vec![0.0; sizes.output_len()];
    let mut logs = Vec::with_capacity(sizes.rows());
    for query in queries(sizes, operands) {
        let (weights, log) = query.weights();
        logs.push(log);
        let at = query.output();
        for (key, weight) in weights.iter().enumerate() {
            for (to, value) in output[at..].iter_mut().zip(query.part(2, key)) {
                *to += weight * value;
            }
        }
    }
    [output, logs]
}

/// As [`super::backward`].
#[must_use]
pub fn backward(
    sizes: &Attention,
    operands: Operands<&[f64]>,
    gradient: &[f64],
) -> Operands<Vec<f64>> {
    let scale = (sizes.head_dim as f64).powf(-0.5);
    let mut packed = vec![0.0; sizes.packed_len()];
    let mut bias = operands
        .bias
        .map(|_| [(); 2].map(|()| vec![0.0; sizes.dim()]));
    for query in queries(sizes, operands) {
        let (weights, _) = query.weights();
        let gradient = &gradient[query.output()..][..sizes.head_dim];
        let of_weights: Vec<f64> = (0..weights.len())
            .map(|key| dot(gradient, query.part(2, key)))
            .collect();
        let mean = dot(&weights, &of_weights);
        let mut add = |which, key, by: f64, values: &[f64]| {
            let to = match (query.place(which, key), &mut bias) {
                (Ok(at), _) => &mut packed[at..],
                (Err(at), Some(bias)) => &mut bias[which - 1][at..],
                (Err(_), None) => return,
            };
            for (to, value) in to.iter_mut().zip(values) {
                *to += by * value;
            }
        };
        for (key, weight) in weights.iter().enumerate() {
            let of_score = weight * (of_weights[key] - mean) * scale;
            add(0, query.token, of_score, query.part(1, key));
            add(1, key, of_score, query.part(0, query.token));
            add(2, key, *weight, gradient);
        }
    }
    Operands { packed, bias }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{differences, numbers};

    #[test]
    fn gradients_are_those_of_finite_differences() {
        for (bias, causal) in [(false, false), (true, false), (false, true), (true, true)] {
            let sizes = Attention {
                batch: 2,
                tokens: 3,
                heads: 2,
                head_dim: 2,
                bias,
                causal,
            };
            let wide = |key, count| numbers(key, count).map(f64::from).collect::<Vec<_>>();
            let packed = wide(1, sizes.packed_len());
            let extra = [wide(2, sizes.dim()), wide(3, sizes.dim())];
            let gradient = wide(4, sizes.output_len());
            let loss = |packed: &[f64], key: &[f64], value: &[f64]| {
                let bias = bias.then_some([key, value]);
                dot(&forward(&sizes, Operands { packed, bias })[0], &gradient)
            };
            let [key, value] = [&extra[0][..], &extra[1][..]];
            let operands = Operands {
                packed: &packed[..],
                bias: bias.then_some([key, value]),
            };
            let actual = backward(&sizes, operands, &gradient);
            differences(&actual.packed, &packed, |packed| loss(packed, key, value));
            if let Some(of_bias) = actual.bias {
                differences(&of_bias[0], key, |key| loss(&packed, key, value));
                differences(&of_bias[1], value, |value| loss(&packed, key, value));
            }
        }
    }
}
