//! Bodies of the fuzz targets, as plain functions that libFuzzer and the corpus tests both call.

use std::sync::Arc;
use std::time::Duration;

use locum_types::{Grant, GroupId, Instant, Mode, ModeCell, NodeId, Term};
use smoltcp::phy::{Device, RxToken as _, TxToken as _};
use smoltcp::wire::IpCidr;

use crate::frame::View;
use crate::policy::{self, Egress};
use crate::{
    FrameQueue, Gate, Identity, MacMode, NodeGuard, Steer, conflict, node_mac, probe, steer,
};

const NOW: Instant = Instant::from_millis(1);

/// Any bytes at all as a frame, received and sent, in every mode.
///
/// # Panics
/// When the gate does not keep a promise. That is a defect.
pub fn gate(frame: &[u8]) {
    for mac_mode in [MacMode::Virtual, MacMode::Own] {
        for identity in [identity(mac_mode, "10.77.0.11/24"), identity(mac_mode, "fd77::11/64")] {
            the_node_never_claims(&identity, frame);
            claims_are_seen(&identity, frame);
            answers_come_from_the_group(&identity, frame);
            for mode in Mode::ALL {
                only_an_active_gate_speaks(mode, &identity, frame);
            }
        }
    }
}

/// The group of the corpus: id 7, service addresses 10.77.0.100 and fd77::100; node 1.
fn identity(mac_mode: MacMode, node_address: &str) -> Identity {
    let cidr = |text: &str| -> IpCidr { text.parse().expect("a valid address") };
    Identity {
        group: GroupId::new(7).expect("in range"),
        node: NodeId::new(1).expect("in range"),
        mac_mode,
        service: vec![cidr("10.77.0.100/24"), cidr("fd77::100/64")],
        node_address: cidr(node_address),
    }
}

fn the_node_never_claims(identity: &Identity, frame: &[u8]) {
    if !NodeGuard::new(identity.clone()).permits(frame) {
        return;
    }
    let view = View::parse(frame);
    assert_eq!(view.source, identity.node_mac(), "the node speaks from its own MAC");
    assert_eq!(conflict::claim(identity, &view), None, "the node claimed a service address");
}

fn claims_are_seen(identity: &Identity, frame: &[u8]) {
    let view = View::parse(frame);
    let to_all = view.destination.is_multicast();
    if to_all && conflict::claim(identity, &view).is_some() {
        let steered = steer(identity, frame);
        assert!(matches!(steered, Steer::Service | Steer::Both), "the gate missed a claim");
    }
}

fn answers_come_from_the_group(identity: &Identity, frame: &[u8]) {
    let Some(address) = probe::answer(identity, frame) else { return };
    assert!(identity.is_service(address), "an answer about another address");
    let claim = conflict::claim(identity, &View::parse(frame)).expect("an answer is a claim");
    assert!(identity.member(claim.mac).is_some(), "a stranger's answer was believed");
    assert_ne!(claim.mac, node_mac(identity.group, identity.node), "the node answered itself");
    assert_ne!(steer(identity, frame), Steer::Neither, "an answer went astray");
}

fn only_an_active_gate_speaks(mode: Mode, identity: &Identity, frame: &[u8]) {
    let cell = Arc::new(ModeCell::new());
    cell.store(Grant { mode, term: Term(1), lease: NOW + Duration::from_secs(1) });
    let mut gate = Gate::new(FrameQueue::new(1500, 64), identity.clone(), cell);
    if gate.inner_mut().push(frame) {
        let (rx, _tx) = gate.receive(NOW.into()).expect("a frame is queued");
        rx.consume(|handed_up| {
            assert!(handed_up.is_empty() || handed_up == frame && mode == Mode::Active);
        });
    }
    let token = gate.transmit(NOW.into()).expect("the queue has room");
    token.consume(frame.len(), |room| room.copy_from_slice(frame));
    gate.poll(NOW);
    let leaves = |frame: &[u8]| {
        assert_eq!(mode, Mode::Active, "a node that is not active spoke");
        let verdict = policy::egress(mode, identity, &View::parse(frame));
        assert!(!matches!(verdict, Egress::Drop(_)), "what left must not leave: {verdict:?}");
    };
    while gate.inner_mut().pop_transmit(leaves).is_some() {}
    let counters = gate.counters();
    let (ingress, egress) = (&counters.ingress, &counters.egress);
    assert_eq!(ingress.frames, ingress.passed + ingress.answered + ingress.dropped());
    assert_eq!(egress.frames, egress.passed + egress.rewritten + egress.dropped());
    assert_eq!(counters.sent.refused, 0, "the gate built a frame that it may not send");
}
