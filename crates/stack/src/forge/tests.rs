use super::*;
use crate::service::FlowId;

fn image(next: u32) -> FlowImage {
    FlowImage {
        id: FlowId(1),
        tuple: Tuple {
            remote: "10.0.0.9:40000".parse().unwrap(),
            local: "10.0.0.1:80".parse().unwrap(),
        },
        negotiated: Negotiated { mss: 1460, window_scale: Some(7), sack: true },
        local_isn: next.wrapping_sub(1),
        remote_isn: next.rotate_left(7).wrapping_sub(1),
        via: [0; 6],
        delivered: 0,
        held: Vec::new(),
        acked: 0,
        unacked: Vec::new(),
        window: 500,
        opened: true,
        paused: false,
        client_fin: false,
        finished: false,
        closing: false,
        fin_acked: false,
    }
}

#[test]
fn every_sequence_number_can_be_had() {
    let mut rng = fastrand::Rng::with_seed(1);
    let mut forge = Forge::new(1500);
    let edges = [0, 1, 2, u32::MAX, u32::MAX - 1, 0x7fff_ffff, 0x8000_0000];
    for next in edges.into_iter().chain(std::iter::repeat_with(|| rng.u32(..)).take(2_000)) {
        let forged = forge.materialise(Instant::ZERO, &image(next), &Limits::default());
        assert!(forged.is_some(), "next byte {next}: an ACK of another number is refused");
    }
}
