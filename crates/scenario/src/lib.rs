//! Scenarios: nodes, switches, clients, a timeline of faults, and what is expected of them, in one
//! TOML file that runs in two worlds.
//!
//! [`Scenario::read`](model::Scenario::read) reads one and finds everything that is wrong with it. In
//! the simulator ([`sim_world`]) it is virtual time and one process; in network namespaces ([`netns`])
//! the same file drives real `locum run` processes, real TAPs and real clients. Both give an
//! [`Outcome`](outcome::Outcome), which is judged ([`mod@judge`]) and drawn without knowing where it
//! came from.

#![forbid(unsafe_code)]

pub mod agreement;
mod check;
#[doc(hidden)]
pub mod fuzzing;
pub mod judge;
pub mod model;
pub mod netns;
pub mod outcome;
mod read;
pub mod report;
pub mod sim_world;
mod wire;
