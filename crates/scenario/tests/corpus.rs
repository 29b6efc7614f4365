//! Replays the corpus of the fuzz target `scenario`, and holds its inputs to their names.

use std::fs;
use std::path::{Path, PathBuf};

use locum_scenario::fuzzing;
use locum_scenario::model::Scenario;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/scenario")
}

#[test]
fn the_scenario_corpus_still_passes() {
    let mut count = 0;
    for entry in fs::read_dir(corpus()).expect("the corpus is part of the repository") {
        let path = entry.expect("the corpus can be listed").path();
        fuzzing::scenario(&fs::read(path).expect("an input can be read"));
        count += 1;
    }
    assert!(count >= 30, "only {count} inputs in {}", corpus().display());
}

#[test]
fn inputs_are_refused_or_run_as_their_names_say() {
    for (name, is_valid) in [
        ("least", true),
        ("kill", true),
        ("kill-worker-and-start", true),
        ("freeze-and-thaw", true),
        ("hand-over", true),
        ("cut-one-way", true),
        ("impaired", true),
        ("switches-and-a-trunk", true),
        ("never-settles", true),
        ("a-step-without-a-node", false),
        ("a-step-after-the-end", false),
        ("a-name-that-is-nearly-right", false),
        ("a-loss-that-is-no-number", false),
        ("expects-nothing", false),
        ("two-nodes-of-one-id", false),
        ("node-0", false),
        ("not-utf8", false),
    ] {
        let text = fs::read(corpus().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let text = String::from_utf8_lossy(&text);
        let found = Scenario::parse(&text, name, name);
        assert_eq!(found.is_ok(), is_valid, "{name}: {:?}", found.err().map(|it| it.to_string()));
    }
}
