//! What is wrong with a TOML file, the way a compiler says it: all of it at once, each with the line,
//! a caret under the spot, and the fix.
//!
//! What belongs here: showing problems, and guessing what was meant. What does not: any rule about
//! what a file may contain.

#![forbid(unsafe_code)]

mod nearest;
mod problem;

pub use nearest::nearest;
pub use problem::{Problem, Report};
