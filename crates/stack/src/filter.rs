//! Which segments of an existing flow smoltcp gets to see: guards around its TCP.

use crate::flow::Flow;
use crate::parse::Segment;

/// Why a segment is kept from smoltcp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A RST that is not exactly at the next expected number (RFC 5961 §3.2). smoltcp takes one anywhere
    /// in the window, so that a blind attacker needs one packet per window.
    InexactReset,
    /// A duplicate acknowledgement when only our FIN is on its way. Three of them start smoltcp's fast
    /// retransmission, which cancels the retransmission timer and then finds no data to send: the FIN
    /// would never be sent again.
    DuplicateAckOfFin,
}

/// What keeps `segment` from `flow`, if anything.
pub(crate) fn refuse(flow: &Flow, segment: &Segment) -> Option<Refusal> {
    if segment.rst {
        return (segment.sequence != flow.remote_next()).then_some(Refusal::InexactReset);
    }
    let bare = segment.ack.is_some() && segment.len == 0;
    let only_fin = flow.fin_outstanding() && flow.socket().send_queue() == 0;
    let repeated = segment.ack == flow.last_ack && segment.sequence == flow.remote_next();
    (bare && only_fin && repeated).then_some(Refusal::DuplicateAckOfFin)
}
