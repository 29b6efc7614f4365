//! Replays the corpus of the fuzz target `replica`: what was once worth finding stays found.

use std::fs;
use std::path::Path;

#[test]
fn the_replica_corpus_still_passes() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/replica");
    let mut count = 0;
    for entry in fs::read_dir(&corpus).expect("the corpus is part of the repository") {
        locum_replica::fuzzing::replica(&fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count >= 20, "only {count} inputs in {}", corpus.display());
}
