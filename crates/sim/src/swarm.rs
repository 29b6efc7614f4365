//! Many runs, each with its own topology, timings and faults, all drawn from its seed.
//!
//! A run has a safety phase, in which anything may break, and a liveness phase, in which a core is
//! healed and must settle and serve within a bounded time. Rules are checked from outside the nodes.

mod audit;
mod calm;
mod copies;
mod draw;
mod excuse;
mod history;
mod plan;
mod promise;
mod referee;
mod run;
mod stage;
mod wire;

pub use copies::StreamTally;
pub use plan::{Cable, ClientPlan, Fault, FaultKind, NodePlan, Plan, ProgramPlan};
pub use referee::Violation;
pub use run::{Narrator, Report, Silent, run};
