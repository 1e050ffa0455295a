//! Clock, window, feature, class bank, score and event policy, in fixed memory.
#![no_std]
