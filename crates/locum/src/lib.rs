//! The `locum` binary as a library: command line, configuration, control socket, status, hooks,
//! logs.
//!
//! What belongs here: everything between the operator and a node. What does not: rules about modes
//! or frames (`locum-monitor`, `locum-gate`), the node as a whole (`locum-appliance`), devices
//! (`locum-link`). The library exists so that tests and the fuzzer reach what the binary does; it
//! promises no stable interface.

#![forbid(unsafe_code)]

pub mod change;
pub mod cli;
pub mod command;
pub mod config;
pub mod control;
pub mod daemon;
pub mod demo;
pub mod exit;
#[doc(hidden)]
pub mod fuzzing;
pub mod hooks;
pub mod logging;
pub mod output;
pub mod status;
