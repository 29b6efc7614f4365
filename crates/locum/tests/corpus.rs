//! Replays the corpus of the fuzz target `config`, and the golden configurations through the same
//! checks.

use std::fs;
use std::path::Path;

fn replay(directory: &str, least: usize) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let entries = fs::read_dir(directory).expect("the corpus is part of the repository");
    let mut count = 0;
    for entry in entries {
        let path = entry.expect("the corpus can be listed").path();
        locum::fuzzing::config(&fs::read(path).expect("the corpus can be read"));
        count += 1;
    }
    assert!(count >= least, "only {count} inputs");
}

#[test]
fn the_corpus_holds_what_config_promises() {
    replay("../../fuzz/corpus/config", 20);
}

#[test]
fn golden_configurations_hold_it_too() {
    replay("tests/config", 80);
}
