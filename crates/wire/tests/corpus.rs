//! Replays the corpus of the fuzz target `beat`, and holds its inputs to their names.

use std::fs;
use std::path::{Path, PathBuf};

use locum_types::{GroupId, NodeId};
use locum_wire::{Key, Refusal, fuzzing, open};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/beat")
}

#[test]
fn the_beat_corpus_still_passes() {
    let mut count = 0;
    for entry in fs::read_dir(corpus()).expect("the corpus is part of the repository") {
        fuzzing::beat(&fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count >= 25, "only {count} inputs in {}", corpus().display());
}

/// They were sealed with the key of the vectors in docs/PROTOCOL.md, most by node 1 for node 2.
#[test]
fn each_input_is_what_its_name_says() {
    let key = Key::new(std::array::from_fn(|index| index as u8));
    let (group, node) = (GroupId::new(7).unwrap(), NodeId::new(2).unwrap());
    for (name, expected) in [
        ("absent-but-not-zero", Err(Refusal::BadField("echo"))),
        ("active", Ok(())),
        ("cut-short", Err(Refusal::Truncated)),
        ("dead-after-too-short", Err(Refusal::BadField("dead_after"))),
        ("empty", Err(Refusal::Truncated)),
        ("extremes", Err(Refusal::WrongGroup)),
        ("fenced-degraded", Ok(())),
        ("header-alone", Err(Refusal::Truncated)),
        ("interval-zero", Err(Refusal::BadField("interval"))),
        ("joining-after-restart", Ok(())),
        ("least", Err(Refusal::WrongGroup)),
        ("length-lies", Err(Refusal::BadLength)),
        ("offer-handover", Ok(())),
        ("reason-without-intent", Err(Refusal::BadField("reason"))),
        ("request", Ok(())),
        ("reserved-bit", Err(Refusal::BadField("flags"))),
        ("resign-shutdown", Ok(())),
        ("to-itself", Err(Refusal::BadField("to"))),
        ("trailing-byte", Err(Refusal::BadLength)),
        ("type-2", Err(Refusal::BadType)),
        ("version-2", Err(Refusal::BadVersion)),
        ("version-2-longer", Err(Refusal::BadVersion)),
        ("waiting", Ok(())),
        ("will", Ok(())),
        ("wrong-tag", Err(Refusal::BadTag)),
    ] {
        let input = fs::read(corpus().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(open(&input, &key, group, node).map(|_| ()), expected, "{name}");
    }
}
