//! The commands, a file each: `Args` are the help, `run` is the command.

pub mod calibrate;
pub mod classes;
pub mod classify;
pub mod demo;
pub mod doctor;
pub mod embed;
pub mod enroll;
pub mod pack;
pub mod record;
pub mod replay;
pub mod run;
