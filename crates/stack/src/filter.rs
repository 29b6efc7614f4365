//! Which segments of an existing flow smoltcp gets to see: guards around its TCP.

use crate::flow::Flow;
use crate::parse::Segment;

/// What smoltcp gets to see of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All of it.
    Pass,
    /// With another sequence number. An acknowledgement that bears an old one acknowledges nothing (RFC
    /// 9293 §3.10.7.4), but that is what smoltcp sends after a timeout, because it winds its number
    /// back. Two ends that do so would each wait for the other's acknowledgement for ever.
    Lift(u32),
    /// Nothing: a RST that is not exactly at the next expected number (RFC 5961 §3.2). smoltcp takes one
    /// anywhere in the window, so that a blind attacker needs one packet per window.
    InexactReset,
    /// Nothing: a duplicate acknowledgement when only our FIN is on its way. Three of them start
    /// smoltcp's fast retransmission, which cancels the retransmission timer and then finds no data
    /// to send: the FIN would never be sent again.
    DuplicateAckOfFin,
    /// Nothing: the client has received what this node never knew of. Whoever sent it died with
    /// it, and the two ends can never agree again.
    Forsaken,
}

/// Judges a segment for `flow`, whose receive window is at most `window` bytes.
pub(crate) fn judge(flow: &Flow, segment: &Segment, window: usize) -> Verdict {
    let next = flow.remote_next();
    if segment.rst {
        return if segment.sequence == next { Verdict::Pass } else { Verdict::InexactReset };
    }
    if flow.is_ahead(segment, window) {
        return Verdict::Forsaken;
    }
    let (0, Some(ack), Some(last_ack)) = (segment.len, segment.ack, flow.last_ack) else {
        return Verdict::Pass;
    };
    let behind = next.wrapping_sub(segment.sequence);
    if behind == 0 {
        let only_fin = flow.fin_outstanding() && flow.socket().send_queue() == 0;
        let repeated = ack == last_ack;
        return if only_fin && repeated { Verdict::DuplicateAckOfFin } else { Verdict::Pass };
    }
    // A keep-alive has an old number too, and wants an answer; but it acknowledges nothing new.
    let advances = (ack.wrapping_sub(last_ack) as i32) > 0;
    if advances && behind as usize <= window { Verdict::Lift(next) } else { Verdict::Pass }
}
