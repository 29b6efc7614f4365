//! What a stack says about itself.

use std::fmt;
use std::ops::AddAssign;

/// The state of a stack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Status {
    /// Connections there are, half-open ones included.
    pub flows: usize,
    /// Those whose handshake is not complete.
    pub half_open: usize,
    /// How many there may be.
    pub flows_max: usize,
    /// Counts since the start.
    pub counters: Counters,
}

/// Counts since the start. Every frame is one of: empty, tcp, udp, other, malformed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counters {
    /// Frames the gate handed up empty.
    pub frames_empty: u64,
    /// TCP segments for this stack.
    pub frames_tcp: u64,
    /// UDP datagrams for a service.
    pub frames_udp: u64,
    /// Everything else: ARP, NDP, ICMP, UDP to closed ports.
    pub frames_other: u64,
    /// TCP or UDP that ends before its header does, and TCP with another checksum than its own.
    pub frames_malformed: u64,
    /// Connections accepted: their SYN was answered.
    pub flows_accepted: u64,
    /// Connections whose handshake was completed.
    pub flows_opened: u64,
    /// Connections that went on here after they were cut elsewhere.
    pub flows_restored: u64,
    /// Connections of former active nodes that could not go on here, per reason.
    pub flows_lost: FlowsLost,
    /// Clients of lost connections that were asked, so that they learn of it.
    pub clients_tickled: u64,
    /// Clients of those that were made to retransmit.
    pub clients_nudged: u64,
    /// Connections that ended, for whatever reason.
    pub flows_closed: u64,
    /// SYNs dropped because there are too many connections.
    pub syns_over_limit: u64,
    /// Half-open connections that gave way to newer ones.
    pub half_open_evicted: u64,
    /// Half-open connections that were never completed.
    pub half_open_expired: u64,
    /// Segments for no connection; a RST answers them.
    pub segments_stray: u64,
    /// Segments that would have been answered by a RST, had it been certain that no other node knows of them.
    pub segments_forborne: u64,
    /// RSTs that were not exactly at the next expected number; one in the window is challenged (RFC 5961 §3.2).
    pub resets_inexact: u64,
    /// Duplicate acknowledgements that would have made smoltcp forget its FIN.
    pub acks_of_fin_repeated: u64,
    /// Acknowledgements with a sequence number below or beyond the window that were taken all the same.
    pub acks_renumbered: u64,
    /// SYNs that took over the four-tuple of a connection in TIME-WAIT (RFC 6191).
    pub time_waits_reused: u64,
    /// Clients asked whether they live.
    pub keep_alives: u64,
    /// Connections whose client did not answer.
    pub flows_unanswered: u64,
    /// Times a client was asked where it is because smoltcp had stopped retransmitting.
    pub flows_nudged: u64,
    /// Connections reset after the idle time.
    pub flows_idle: u64,
    /// Connections that the client never closed.
    pub flows_fin_wait: u64,
    /// Connections that got a new socket because smoltcp had stopped retransmitting.
    pub flows_healed: u64,
    /// Connections reset because smoltcp had stopped retransmitting.
    pub flows_wedged: u64,
    /// Neighbours learned from traffic.
    pub neighbours_learned: u64,
    /// Datagrams of a service that did not fit the queue or the MTU, had no route, or waited too long for
    /// a neighbour to answer.
    pub datagrams_unsent: u64,
}

/// Connections that ended because the node that had them was gone, per reason. Those that their service had aborted, or
/// that had ended before, are none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct FlowsLost {
    /// This node had no whole copy when it took over: what it knew of them may have been old.
    pub no_copy: u64,
    /// Their service is left out of the log.
    pub left_out: u64,
    /// No socket could be made of what is known of them: [`RestoreRefused`](crate::RestoreRefused).
    pub refused: u64,
    /// The service of this node had said less than their clients have heard: from another file, for one.
    pub unlike: u64,
    /// Their clients spoke of what this node never knew: forsaken.
    pub forsaken: u64,
}

impl FlowsLost {
    /// All reasons together.
    pub const fn total(self) -> u64 {
        let FlowsLost { no_copy, left_out, refused, unlike, forsaken } = self;
        no_copy + left_out + refused + unlike + forsaken
    }

    /// Each reason by its name, and how many were lost for it.
    pub const fn reasons(self) -> [(&'static str, u64); 5] {
        let FlowsLost { no_copy, left_out, refused, unlike, forsaken } = self;
        [
            ("no_copy", no_copy),
            ("left_out", left_out),
            ("refused", refused),
            ("unlike", unlike),
            ("forsaken", forsaken),
        ]
    }

    /// What was lost since `earlier`.
    #[must_use]
    pub const fn since(self, earlier: FlowsLost) -> FlowsLost {
        FlowsLost {
            no_copy: self.no_copy - earlier.no_copy,
            left_out: self.left_out - earlier.left_out,
            refused: self.refused - earlier.refused,
            unlike: self.unlike - earlier.unlike,
            forsaken: self.forsaken - earlier.forsaken,
        }
    }
}

impl AddAssign for FlowsLost {
    fn add_assign(&mut self, more: FlowsLost) {
        self.no_copy += more.no_copy;
        self.left_out += more.left_out;
        self.refused += more.refused;
        self.unlike += more.unlike;
        self.forsaken += more.forsaken;
    }
}

/// `3 lost (1 no copy, 2 left out)`, or `none lost`.
impl fmt::Display for FlowsLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self
            .reasons()
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(reason, count)| format!("{count} {}", reason.replace('_', " ")))
            .collect();
        match self.total() {
            0 => f.write_str("none lost"),
            total => write!(f, "{total} lost ({})", words.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_say_their_reasons_and_nothing_of_others() {
        let earlier = FlowsLost { no_copy: 1, ..FlowsLost::default() };
        let lost = FlowsLost { no_copy: 2, refused: 3, forsaken: 1, ..FlowsLost::default() };
        assert_eq!(lost.since(earlier).total(), 5);
        assert_eq!(lost.since(earlier).to_string(), "5 lost (1 no copy, 3 refused, 1 forsaken)");
        assert_eq!(lost.since(lost).to_string(), "none lost");
        let mut sum = lost.since(earlier);
        sum += earlier;
        assert_eq!(sum, lost);
    }
}
