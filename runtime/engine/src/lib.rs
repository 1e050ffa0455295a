//! Sources, encoders, pipeline and sinks.
