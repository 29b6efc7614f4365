//! Which segments of an existing flow smoltcp gets to see: guards around its TCP.

use smoltcp::wire::TcpSeqNumber;

use crate::flow::Flow;
use crate::parse::Segment;

/// Whether a RST is believed: only at exactly the next expected number (RFC 5961 §3.2). smoltcp takes
/// one anywhere in the window, so that a blind attacker needs one packet per window.
pub(crate) fn is_credible(flow: &Flow, segment: &Segment) -> bool {
    !segment.rst || segment.sequence == TcpSeqNumber(flow.remote_next() as i32)
}
