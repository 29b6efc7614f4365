//! Replays the corpora of the fuzz targets `http` and `kv`: what was once worth finding stays found.

use std::fs;
use std::path::Path;

use locum_services::fuzzing;

fn replay(target: &str, run: fn(&[u8]), least: usize) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut count = 0;
    for entry in fs::read_dir(&corpus).expect("the corpus is part of the repository") {
        let entry = entry.expect("a directory can be read");
        run(&fs::read(entry.path()).expect("an input can be read"));
        count += 1;
    }
    assert!(count >= least, "only {count} inputs in {}", corpus.display());
}

#[test]
fn the_http_corpus_still_passes() {
    replay("http", fuzzing::http, 17);
}

#[test]
fn the_kv_corpus_still_passes() {
    replay("kv", fuzzing::kv, 17);
}
