//! The body of the fuzz target `appliance`: a byte string that drives one or two whole nodes, with
//! checkers on.
//!
//! What belongs here: the instructions (`script`), the frames they make (`frames`), the nodes on their
//! cable (`stage`, `world`), and the rules they are held to (`referee`, `wire`). What does not: likely
//! behaviour of networks and clients. That is the simulator's; this one is after the unlikely.
//!
//! The first byte sets the stage, see `Stage::new`; then follow instructions until the bytes run out,
//! see `script::step`. A byte that is missing is 0, so that every prefix of an input is an input.

mod frames;
mod referee;
mod script;
mod stage;
mod tape;
mod wire;
mod world;

use locum_stack::service::Service;

use stage::Stage;
use tape::Tape;
use world::World;

/// Makes one of each service that a node is to run, with the port it listens on.
pub type Services = fn() -> Vec<(u16, Box<dyn Service>)>;

/// What happened in a run, for tests that hold an input to its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Turns the nodes took.
    pub turns: u64,
    /// Times a node became active.
    pub activations: u64,
    /// Hand-overs whose successor was heard.
    pub handovers: u64,
    /// Times a node stopped being active because it had not run for too long.
    pub stalls: u64,
    /// Frames that spoke for a service address.
    pub service_frames: u64,
    /// Bytes that services sent in TCP segments.
    pub service_bytes: u64,
    /// Beats made by the script that a node opened and understood.
    pub beats_forged: u64,
    /// Times a node saw somebody else claim a service address.
    pub rivals: u64,
    /// Shutdowns that were completed.
    pub shutdowns: u64,
}

/// Plays `input` on nodes that run `services`.
///
/// # Panics
/// When a node, or a pair of them, does not keep a promise. That is a defect.
pub fn appliance(input: &[u8], services: Services) -> Account {
    let mut tape = Tape::new(input);
    let mut world = World::new(Stage::new(tape.byte()), services);
    while script::step(&mut world, &mut tape) {
        world.check();
    }
    world.finish()
}
