//! Replays the corpus of the fuzz target `appliance`, and holds its inputs to their names.

use std::fs;
use std::path::{Path, PathBuf};

use locum_appliance::fuzzing::{self, Account};
use locum_services::fuzzing::well_known;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/appliance")
}

fn inputs() -> Vec<Vec<u8>> {
    let entries = fs::read_dir(corpus()).expect("the corpus is part of the repository");
    let read = |entry: fs::DirEntry| fs::read(entry.path()).expect("an input can be read");
    entries.map(|entry| read(entry.expect("the directory can be read"))).collect()
}

#[test]
fn the_appliance_corpus_still_passes() {
    let inputs = inputs();
    for input in &inputs {
        fuzzing::appliance(input, well_known);
    }
    assert!(inputs.len() >= 60, "only {} inputs in {}", inputs.len(), corpus().display());
}

/// An input cut anywhere, or with one byte changed, is still only an input.
#[test]
fn the_appliance_corpus_still_passes_when_it_is_damaged() {
    for mut input in inputs() {
        for at in (0..input.len()).step_by(17) {
            fuzzing::appliance(&input[..at], well_known);
            input[at] ^= 0x55;
            fuzzing::appliance(&input, well_known);
            input[at] ^= 0x55;
        }
    }
}

#[test]
fn a_run_depends_on_its_input_alone() {
    for input in inputs() {
        let account = fuzzing::appliance(&input, well_known);
        assert_eq!(fuzzing::appliance(&input, well_known), account);
    }
}

#[test]
fn each_input_is_what_its_name_says() {
    type Expectation = fn(&Account) -> bool;
    let expectations: [(&str, Expectation); 26] = [
        ("empty", |it| it.activations == 0 && it.service_frames == 0),
        ("alone", |it| it.activations == 1 && it.service_frames > 0),
        ("a-pair-elects-one", |it| it.activations == 1),
        ("echo", |it| it.service_bytes == 10),
        ("echo-over-ipv6", |it| it.service_bytes == 5),
        ("http", |it| it.service_bytes > 200),
        ("chargen-with-a-window-of-1", |it| (2..10).contains(&it.service_bytes)),
        ("discard", |it| it.activations == 1 && it.service_bytes == 0),
        ("handover", |it| it.activations == 2 && it.handovers == 1),
        ("handover-there-and-back", |it| it.activations == 3 && it.handovers == 2),
        ("handover-to-a-stranger", |it| it.activations == 1 && it.handovers == 0),
        ("handover-under-load", |it| it.handovers == 1 && it.service_bytes == 20),
        ("shutdown-of-the-active", |it| it.activations == 2 && it.shutdowns == 1),
        ("shutdown-of-both", |it| it.shutdowns == 2),
        ("first-frozen", |it| it.activations == 2 && it.stalls == 1),
        ("frozen-between-turn-and-transmit", |it| it.stalls == 1),
        ("partition-and-heal", |it| it.activations == 2),
        ("restart-of-the-active", |it| it.activations == 2 && it.handovers == 0),
        ("killed-with-a-warden", |it| it.activations == 3),
        ("found-peers-moved-while-apart", |it| it.activations == 2),
        ("reload-for-another-node", |it| it.activations == 1),
        ("beats-twice-and-cut-short", |it| it.activations == 1),
        ("forged-resignation", |it| it.beats_forged == 3),
        ("arp-claim", |it| it.activations == 1 && it.rivals == 4),
        ("na-claim", |it| it.activations == 1 && it.rivals == 2),
        ("udp-echo", |it| it.service_frames > 250),
    ];
    for (name, is_so) in expectations {
        let input = fs::read(corpus().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let account = fuzzing::appliance(&input, well_known);
        assert!(is_so(&account), "{name}: {account:?}");
    }
}
