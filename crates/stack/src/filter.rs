//! Which segments of an existing flow smoltcp gets to see: guards around its TCP.

use locum_types::Instant;

use crate::flow::Flow;
use crate::parse::Segment;

/// What smoltcp gets to see of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All of it.
    Pass,
    /// With another sequence number. An acknowledgement that bears an old one acknowledges nothing (RFC
    /// 9293 §3.10.7.4), but that is what smoltcp sends after a timeout, because it winds its number
    /// back. Two ends that do so would each wait for the other's acknowledgement for ever. And an acknowledgement
    /// is valid beyond a window that is full (ibid.): two ends that wait for the other's window would wait for ever.
    Renumber(u32),
    /// Its payload, and then its FIN if there is nothing missing before it. smoltcp cuts a payload that goes beyond the
    /// window, but takes the FIN, in place of the first byte that it has cut.
    FinApart,
    /// Nothing: a RST that is not exactly at the next expected number (RFC 5961 §3.2). smoltcp takes one
    /// anywhere in the window, so that a blind attacker needs one packet per window.
    InexactReset,
    /// Nothing: a duplicate acknowledgement when only our FIN is on its way. Three of them start
    /// smoltcp's fast retransmission, which cancels the retransmission timer and then finds no data
    /// to send: the FIN would never be sent again.
    DuplicateAckOfFin,
    /// Nothing: the client has received, or has had acknowledged, what this node never knew of. Whoever
    /// knew died with it, and the two ends can never agree again.
    Forsaken,
}

/// Judges a segment for `flow`, whose receive window is at most `window` bytes.
pub(crate) fn judge(now: Instant, flow: &Flow, segment: &Segment, window: usize) -> Verdict {
    let next = flow.remote_next();
    if segment.rst {
        return if segment.sequence == next { Verdict::Pass } else { Verdict::InexactReset };
    }
    if flow.is_ahead(segment, window) || flow.is_astray(now, segment) {
        return Verdict::Forsaken;
    }
    if segment.fin && segment.len > 1 {
        return Verdict::FinApart;
    }
    let (0, Some(ack), Some(last_ack)) = (segment.len, segment.ack, flow.last_ack) else {
        return Verdict::Pass;
    };
    let ahead = segment.sequence.wrapping_sub(next) as usize;
    // One more than the window: its FIN.
    if ahead > 0 && (flow.room()..=window + 1).contains(&ahead) {
        return Verdict::Renumber(next);
    }
    let behind = next.wrapping_sub(segment.sequence);
    if behind == 0 {
        let only_fin = flow.fin_outstanding() && flow.socket().send_queue() == 0;
        let repeated = ack == last_ack;
        return if only_fin && repeated { Verdict::DuplicateAckOfFin } else { Verdict::Pass };
    }
    // A keep-alive has an old number too, and wants an answer; but it acknowledges nothing new.
    let advances = (ack.wrapping_sub(last_ack) as i32) > 0;
    if advances && behind as usize <= window { Verdict::Renumber(next) } else { Verdict::Pass }
}
