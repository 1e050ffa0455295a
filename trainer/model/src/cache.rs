//! Gradients of large batches in the memory of small ones.
//!
//! A contrastive loss needs all embeddings of a batch at once, but not all that led to them. Each
//! chunk is embedded and forgotten; the loss gives the gradient of every embedding; then each chunk
//! is embedded again and only its own part goes back into the weights (Gao et al. 2021, *Scaling Deep
//! Contrastive Learning Batch Size under Memory Limited Setup*). The gradients are those of the whole
//! batch, at the price of one more forward pass.

use burn::module::AutodiffModule;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::prelude::*;
use burn::tensor::backend::AutodiffBackend;

/// The loss of a batch of chunks, and its gradients.
///
/// `embed` gives the embeddings of a chunk, `[rows, dim]`, and `loss` the loss, `[1]`, of those of all
/// chunks, one after the other. Before a chunk is embedded, the backend's random numbers begin at a
/// seed of its own, so that what is dropped in the first pass is dropped in the second.
///
/// # Panics
///
/// If there is no chunk.
pub fn gradients<B: AutodiffBackend, M: AutodiffModule<B>>(
    module: &M,
    chunks: usize,
    seed: u64,
    device: &B::Device,
    embed: impl Fn(&M, usize) -> Tensor<B, 2>,
    loss: impl FnOnce(Tensor<B, 2>) -> Tensor<B, 1>,
) -> (f64, GradientsParams) {
    assert!(chunks > 0, "a batch of no chunks");
    let embed = |chunk: usize| {
        B::seed(device, seed.wrapping_add(chunk as u64));
        embed(module, chunk)
    };
    let parts: Vec<Tensor<B, 2>> = (0..chunks).map(|chunk| embed(chunk).detach()).collect();
    let rows: Vec<usize> = parts.iter().map(|part| part.dims()[0]).collect();
    let embeddings = Tensor::cat(parts, 0).require_grad();
    let loss = loss(embeddings.clone());
    let value = loss.clone().into_scalar().elem();
    let mut gradients = loss.backward();
    let Some(wanted) = embeddings.grad_remove(&mut gradients) else {
        // The loss does not depend on the embeddings.
        return (value, GradientsParams::new());
    };

    let mut sum = GradientsAccumulator::new();
    // What the loss itself takes of the module, such as a scale.
    sum.accumulate(module, GradientsParams::from_grads(gradients, module));
    let mut first = 0;
    for (chunk, rows) in rows.into_iter().enumerate() {
        let wanted = Tensor::from_inner(wanted.clone().narrow(0, first, rows));
        let product = (embed(chunk) * wanted).sum();
        sum.accumulate(
            module,
            GradientsParams::from_grads(product.backward(), module),
        );
        first += rows;
    }
    (value, sum.grads())
}
