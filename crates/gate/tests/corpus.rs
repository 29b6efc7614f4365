//! Replays the corpus of the fuzz target `gate`, and holds its inputs to their names.

use std::fs;
use std::path::{Path, PathBuf};

use locum_gate::frame::{Kind, View};
use locum_gate::fuzzing;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/gate")
}

#[test]
fn the_gate_corpus_still_passes() {
    let mut count = 0;
    for entry in fs::read_dir(corpus()).expect("the corpus is part of the repository") {
        fuzzing::gate(&fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count >= 40, "only {count} inputs in {}", corpus().display());
}

/// A frame cut anywhere, or with one byte changed, is still only a frame.
#[test]
fn the_gate_corpus_still_passes_when_it_is_damaged() {
    for entry in fs::read_dir(corpus()).expect("the corpus is part of the repository") {
        let mut input = fs::read(entry.unwrap().path()).unwrap();
        for at in (0..input.len()).step_by(3) {
            fuzzing::gate(&input[..at]);
            input[at] ^= 0xff;
            fuzzing::gate(&input);
            input[at] ^= 0xff;
        }
    }
}

#[test]
fn each_input_is_what_its_name_says() {
    for (name, tags, kind) in [
        ("arp-announcement", 0, Kind::ArpAnnouncement),
        ("arp-answer-to-probe", 0, Kind::ArpReply),
        ("arp-hardware-length-lies", 0, Kind::Malformed),
        ("arp-probe", 0, Kind::ArpProbe),
        ("arp-request", 0, Kind::ArpRequest),
        ("dad", 0, Kind::DadSolicit),
        ("fragment", 0, Kind::Fragment),
        ("header-alone", 0, Kind::Malformed),
        ("ipv4-options-beyond-the-end", 0, Kind::Malformed),
        ("ipv4-total-length-lies", 0, Kind::Malformed),
        ("ipv6-endless-extensions", 0, Kind::Malformed),
        ("ipv6-extension-beyond-the-end", 0, Kind::Malformed),
        ("lldp", 0, Kind::OtherEthernet),
        ("mld-join", 0, Kind::Mld),
        ("mld-query", 0, Kind::Mld),
        ("na-conflict", 0, Kind::NeighborAdvert),
        ("na-option-of-length-0", 0, Kind::Malformed),
        ("na-wrong-checksum", 0, Kind::Malformed),
        ("ns", 0, Kind::NeighborSolicit),
        ("ns-without-option", 0, Kind::NeighborSolicit),
        ("ping-6", 0, Kind::Icmp),
        ("qinq", 2, Kind::Tcp),
        ("rst-from-service", 0, Kind::TcpReset),
        ("syn-6", 0, Kind::Tcp),
        ("tag-alone", 1, Kind::Malformed),
        ("three-tags", 2, Kind::OtherEthernet),
        ("udp-from-node", 0, Kind::Udp),
        ("vlan", 1, Kind::Tcp),
    ] {
        let input = fs::read(corpus().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let view = View::parse(&input);
        assert_eq!((view.tags, view.kind()), (tags, kind), "{name}");
    }
}
