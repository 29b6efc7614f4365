//! Replays the corpus of the fuzz target `http`: what was once worth finding stays found.

use std::fs;
use std::path::Path;

#[test]
fn the_http_corpus_still_passes() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/http");
    let mut count = 0;
    for entry in fs::read_dir(&corpus).expect("the corpus is part of the repository") {
        locum_services::fuzzing::http(&fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count >= 17, "only {count} inputs in {}", corpus.display());
}
