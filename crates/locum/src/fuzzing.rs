//! The body of the fuzz target `config`; an ordinary test replays its corpus through it.

use std::path::Path;

use crate::config::{Config, Nowhere};

/// Reads `input` as a configuration file; what it refers to outside is taken as it should be.
///
/// # Panics
/// When a configuration that was accepted is not the same after printing and reading it again.
/// That is a defect, as is any other panic.
pub fn config(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match parse(&text) {
        Ok(printed) => match parse(&printed) {
            Ok(again) => assert_eq!(printed, again, "what is printed is a fixed point"),
            Err(report) => panic!("what is printed is a configuration, not:\n{printed}\n{report}"),
        },
        Err(report) => assert!(report.ends_with('s') || report.ends_with("error"), "{report}"),
    }
}

/// The configuration as `locum check` prints it, or what it says instead.
fn parse(text: &str) -> Result<String, String> {
    let file = Path::new("/etc/locum/node1.toml");
    match Config::parse(text, file, "node1.toml", &Nowhere) {
        Ok(config) => Ok(config.to_toml()),
        Err(report) => Err(report.to_string()),
    }
}
