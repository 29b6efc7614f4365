//! Scenarios: nodes, switches, clients, a timeline of faults, and what is expected of them, in one
//! TOML file that runs in two worlds.
//!
//! In the simulator it is virtual time and one process; in network namespaces the same file drives
//! real `locum run` processes, real TAPs and real clients. Both give an [`Outcome`](outcome::Outcome),
//! which is judged and drawn without knowing where it came from.

#![forbid(unsafe_code)]

pub mod agreement;
pub mod model;
pub mod netns;
pub mod outcome;
