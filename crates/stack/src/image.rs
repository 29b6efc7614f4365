//! What there is to know of a connection, as plain data: enough to make one that its client cannot tell
//! from the old one.
//!
//! What belongs here: the [`FlowImage`], and what follows from it by arithmetic alone. What does not: how
//! a socket is made of it ([`crate::forge`]), and how it travels to another node (`locum-replica`).

use crate::config::RX_BUFFER_MAX;
use crate::forge::Negotiated;
use crate::service::FlowId;
use crate::{Limits, Tuple};

/// A connection at a point of the log. Numbers of bytes are those of the streams, without SYN and FIN, from
/// the connection's first byte; they may exceed 4 GiB, where sequence numbers wrap.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FlowImage {
    /// Its number, the same on every node.
    pub id: FlowId,
    /// Its ends.
    pub tuple: Tuple,
    /// What the client offered when it connected.
    pub negotiated: Negotiated,
    /// The sequence number of the SYN we sent.
    pub local_isn: u32,
    /// The sequence number of the client's SYN.
    pub remote_isn: u32,
    /// The MAC that its SYN came from: the client's, or its gateway's.
    pub via: [u8; 6],
    /// Bytes of the client's stream that the service was told of.
    pub delivered: u64,
    /// The bytes after those: received and acknowledged, but not delivered yet.
    pub held: Vec<u8>,
    /// Bytes of the service's output that the client acknowledged.
    pub acked: u64,
    /// The output after those, whether it was ever sent or not.
    pub unacked: Vec<u8>,
    /// The client's window, as its last segment carried it: not scaled.
    pub window: u16,
    /// The handshake is complete, and the service knows.
    pub opened: bool,
    /// The service wants no data for now.
    pub paused: bool,
    /// The client's FIN was received, and all bytes before it.
    pub client_fin: bool,
    /// The service knows of that FIN.
    pub finished: bool,
    /// The service has closed its side: FIN follows its output.
    pub closing: bool,
    /// The client acknowledged our FIN.
    pub fin_acked: bool,
}

/// The state of a connection that lives on, by its name in RFC 9293 §3.3.2.
///
/// LAST-ACK is not among them. It differs from CLOSING in who sent FIN first, which an image does not
/// tell, and only in what follows: nothing, or TIME-WAIT. A connection restored as CLOSING sends the same
/// segments and stays to answer a repeated FIN, so that the client is never reset; if it was in LAST-ACK,
/// it is kept a few seconds longer than it had to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpState {
    /// A SYN was answered; the client's acknowledgement has not come.
    SynReceived,
    /// Both sides may send.
    Established,
    /// The client is done sending; the service is not.
    CloseWait,
    /// The service is done sending; its output or its FIN is not acknowledged yet.
    FinWait1,
    /// The service is done sending, and the client knows.
    FinWait2,
    /// Both are done; our output or our FIN is not acknowledged yet.
    Closing,
    /// Both are done, and each knows: what is left is to answer a repeated FIN.
    TimeWait,
}

impl FlowImage {
    /// The state that follows from what was sent and received (RFC 9293 §3.6).
    pub fn state(&self) -> TcpState {
        match (self.opened, self.client_fin, self.closing, self.fin_acked) {
            (false, ..) => TcpState::SynReceived,
            (true, false, false, _) => TcpState::Established,
            (true, true, false, _) => TcpState::CloseWait,
            (true, false, true, false) => TcpState::FinWait1,
            (true, false, true, true) => TcpState::FinWait2,
            (true, true, true, false) => TcpState::Closing,
            (true, true, true, true) => TcpState::TimeWait,
        }
    }

    /// The first sequence number that the client has not acknowledged (SND.UNA).
    pub fn local_unacked(&self) -> u32 {
        if !self.opened {
            return self.local_isn;
        }
        let fin = u32::from(self.state_has_fin_acked());
        self.local_isn.wrapping_add(1).wrapping_add(self.acked as u32).wrapping_add(fin)
    }

    /// The sequence number of the client's next byte, or the one after its FIN (RCV.NXT).
    pub fn remote_next(&self) -> u32 {
        let received = self.delivered.wrapping_add(self.held.len() as u64);
        let first = self.remote_isn.wrapping_add(1);
        first.wrapping_add(received as u32).wrapping_add(u32::from(self.client_fin))
    }

    /// Whether the client has something to acknowledge: output, FIN or SYN.
    pub fn is_outstanding(&self) -> bool {
        match self.state() {
            TcpState::SynReceived | TcpState::FinWait1 | TcpState::Closing => true,
            TcpState::Established | TcpState::CloseWait => !self.unacked.is_empty(),
            TcpState::FinWait2 | TcpState::TimeWait => false,
        }
    }

    /// Whether nothing in it contradicts the rest, and its bytes fit the buffers.
    pub(crate) fn is_possible(&self, limits: &Limits) -> bool {
        let fresh = self.delivered == 0 && self.acked == 0 && self.held.is_empty();
        let unknown = !self.client_fin && !self.closing && self.unacked.is_empty();
        (self.opened || fresh && unknown)
            && (!self.finished || self.client_fin && self.held.is_empty())
            && (!self.fin_acked || self.closing && self.unacked.is_empty())
            && self.held.len() <= limits.rx_buffer.min(RX_BUFFER_MAX)
            && self.unacked.len() <= limits.tx_buffer
    }

    fn state_has_fin_acked(&self) -> bool {
        matches!(self.state(), TcpState::FinWait2 | TcpState::TimeWait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(opened: bool, client_fin: bool, closing: bool, fin_acked: bool) -> FlowImage {
        FlowImage {
            id: FlowId(1),
            tuple: Tuple {
                remote: "10.0.0.9:40000".parse().unwrap(),
                local: "10.0.0.1:80".parse().unwrap(),
            },
            negotiated: Negotiated { mss: 1460, window_scale: Some(7), sack: true },
            local_isn: u32::MAX,
            remote_isn: u32::MAX - 1,
            via: [2, 0, 0, 0, 0, 2],
            delivered: 0,
            held: Vec::new(),
            acked: 0,
            unacked: Vec::new(),
            window: 500,
            opened,
            paused: false,
            client_fin,
            finished: client_fin,
            closing,
            fin_acked,
        }
    }

    #[test]
    fn the_state_follows_from_who_sent_fin_and_who_knows() {
        let table = [
            ((false, false, false, false), TcpState::SynReceived),
            ((true, false, false, false), TcpState::Established),
            ((true, true, false, false), TcpState::CloseWait),
            ((true, false, true, false), TcpState::FinWait1),
            ((true, false, true, true), TcpState::FinWait2),
            ((true, true, true, false), TcpState::Closing),
            ((true, true, true, true), TcpState::TimeWait),
        ];
        for ((opened, client_fin, closing, fin_acked), state) in table {
            assert_eq!(image(opened, client_fin, closing, fin_acked).state(), state);
        }
    }

    #[test]
    fn numbers_count_syn_and_fin_and_wrap() {
        let mut image = image(true, false, false, false);
        assert_eq!((image.local_unacked(), image.remote_next()), (0, u32::MAX));
        image.acked = (1 << 32) + 5;
        image.delivered = (3 << 32) + 1;
        image.held = vec![0; 2];
        assert_eq!((image.local_unacked(), image.remote_next()), (5, 2));
        (image.client_fin, image.closing) = (true, true);
        assert_eq!((image.local_unacked(), image.remote_next()), (5, 3));
        image.fin_acked = true;
        assert_eq!((image.local_unacked(), image.remote_next()), (6, 3));
    }

    #[test]
    fn a_syn_that_is_not_acknowledged_is_the_first_number() {
        assert_eq!(image(false, false, false, false).local_unacked(), u32::MAX);
    }

    #[test]
    fn what_the_client_has_to_acknowledge_is_outstanding() {
        let outstanding = |fin, closing, acked, len| {
            let image = image(true, fin, closing, acked);
            FlowImage { unacked: vec![0; len], ..image }.is_outstanding()
        };
        assert!(image(false, false, false, false).is_outstanding());
        assert!(!outstanding(false, false, false, 0) && outstanding(false, false, false, 1));
        assert!(!outstanding(true, false, false, 0) && outstanding(true, false, false, 1));
        assert!(outstanding(false, true, false, 0) && !outstanding(false, true, true, 0));
        assert!(outstanding(true, true, false, 0) && !outstanding(true, true, true, 0));
    }
}
