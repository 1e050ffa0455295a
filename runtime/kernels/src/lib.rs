//! Integer and float kernels, each with its scalar twin.
#![no_std]
