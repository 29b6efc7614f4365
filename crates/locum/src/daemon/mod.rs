//! The node as a process: threads and wiring.

use crate::config::Config;
use crate::exit::Exit;

/// Runs a node until it is told to stop.
///
/// # Errors
/// Whatever keeps the node from starting or from going on.
pub fn run(config: &Config) -> anyhow::Result<Exit> {
    anyhow::bail!("node {} cannot run: the threads are not wired yet", config.node.id)
}
