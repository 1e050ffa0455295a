//! Encoders, losses and checkpoints.
