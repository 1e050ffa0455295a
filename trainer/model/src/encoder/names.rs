//! The reference's names of weights.

use crate::sense::Sense;

/// Where the weights of a sense are in a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Names(pub Sense);

impl Names {
    /// What comes before the blocks.
    #[must_use]
    pub fn preprocessor(self) -> String {
        format!("modality_preprocessors.{}", self.0)
    }

    /// The projection of patches, or the table of words.
    #[must_use]
    pub fn stem(self) -> String {
        let part = match self.0 {
            // Number 0 repeats the frames of a picture.
            Sense::Vision => "rgbt_stem.proj.1",
            Sense::Audio | Sense::Thermal => "rgbt_stem.proj",
            Sense::Depth => "depth_stem.proj",
            Sense::Imu => "imu_stem.proj",
            Sense::Text => "token_embedding",
        };
        format!("{}.{part}.weight", self.preprocessor())
    }

    /// The norm behind the projection.
    #[must_use]
    pub fn stem_norm(self) -> String {
        let stem = match self.0 {
            Sense::Depth => "depth_stem",
            Sense::Imu => "imu_stem",
            _ => "rgbt_stem",
        };
        format!("{}.{stem}.norm_layer", self.preprocessor())
    }

    /// The class token.
    #[must_use]
    pub fn class_token(self) -> String {
        format!("{}.cls_token", self.preprocessor())
    }

    /// The positions.
    #[must_use]
    pub fn positions(self) -> String {
        let helper = match self.0 {
            Sense::Text | Sense::Imu => "",
            _ => "pos_embedding_helper.",
        };
        format!("{}.{helper}pos_embed", self.preprocessor())
    }

    /// What hides later words from earlier ones: a constant, though it is stored.
    #[must_use]
    pub fn mask(self) -> Option<String> {
        (self.0 == Sense::Text).then(|| format!("{}.mask", self.preprocessor()))
    }

    /// The norm before the first block.
    #[must_use]
    pub fn trunk_norm(self) -> String {
        format!("modality_trunks.{}.pre_transformer_layer.0", self.0)
    }

    /// A block.
    #[must_use]
    pub fn block(self, index: usize) -> String {
        format!("modality_trunks.{}.blocks.{index}", self.0)
    }

    /// The norm behind the last block.
    #[must_use]
    pub fn head_norm(self) -> String {
        let part = if self.0 == Sense::Text { "proj.0" } else { "0" };
        format!("modality_heads.{}.{part}", self.0)
    }

    /// The last projection. Its number counts the selection of a token and, for inertial data, the
    /// dropout before it.
    #[must_use]
    pub fn head(self) -> String {
        let part = match self.0 {
            Sense::Text => "proj.1",
            Sense::Imu => "3",
            _ => "2",
        };
        format!("modality_heads.{}.{part}.weight", self.0)
    }

    /// The logarithm of the scale.
    #[must_use]
    pub fn log_scale(self) -> String {
        format!("modality_postprocessors.{}.1.log_logit_scale", self.0)
    }

    /// Whether a weight belongs to this sense.
    #[must_use]
    pub fn has(self, name: &str) -> bool {
        let mut parts = name.split('.');
        let _kind = parts.next();
        parts.next() == Some(self.0.name())
    }
}

/// The mask of a text encoder: minus infinity above the diagonal.
#[must_use]
pub fn causal_mask(context: usize) -> Vec<f32> {
    let cell = |i: usize| {
        if i % context > i / context {
            f32::NEG_INFINITY
        } else {
            0.0
        }
    };
    (0..context * context).map(cell).collect()
}
