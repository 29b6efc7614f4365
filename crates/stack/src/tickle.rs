//! Connections that end with the node that had them: their clients are told at once.
//!
//! What belongs here: who is told, and how often. What does not: which connections are lost
//! ([`crate::follow`]), and the answer to what their clients then send (smoltcp's RST, RFC 9293 §3.10.7.1).
//!
//! A client that only listens would wait for ever. A RST ends its connection only if it bears exactly the number that
//! the client expects (RFC 5961 §3.2), which is not known of a connection that was lost because the copy of it is
//! old. So the client is asked as by a keep-alive: an acknowledgement with the number before what this node
//! knows to have arrived. That is not acceptable to the client, whatever it has received since, and it answers with the
//! numbers that are right (RFC 9293 §3.10.7.4); the answer belongs to no connection here, so that it is
//! answered with the one RST that counts. It bears no byte, which could be taken for data if what is known is so old that
//! the numbers have gone round.
//!
//! Linux answers at most one such segment per connection in half a second (`tcp_invalid_ratelimit`), and any of the
//! three may be lost. So it is asked more than once. A client that is gone answers with RST.

use std::collections::VecDeque;
use std::time::Duration;

use locum_types::Instant;
use smoltcp::phy::{Device, TxToken as _};
use smoltcp::wire::{EthernetAddress, TcpControl};

use crate::Tuple;
use crate::forge::FromClient;
use crate::image::{FlowImage, TcpState};
use crate::stack::Stack;

/// Clients asked in one poll.
const TICKLES_MAX: usize = 64;
/// How often a client is asked, and how far apart.
const ROUNDS: u8 = 3;
const PAUSE: Duration = Duration::from_millis(600);

/// A client to be told.
struct Tickle {
    tuple: Tuple,
    via: EthernetAddress,
    sequence: u32,
    ack: u32,
    at: Instant,
    left: u8,
}

/// All clients to be told, those that are due first.
#[derive(Default)]
pub(crate) struct Tickles {
    queue: VecDeque<Tickle>,
}

impl Tickles {
    /// The client of this connection is to be told that it has ended. Nobody knows the way to one that was never
    /// heard by itself.
    pub(crate) fn add(&mut self, now: Instant, image: &FlowImage) {
        let via = EthernetAddress(image.via);
        let is_over = image.state() == TcpState::TimeWait;
        if is_over || !via.is_unicast() || via.0 == [0; 6] {
            return;
        }
        self.queue.push_back(Tickle {
            tuple: image.tuple,
            via,
            sequence: image.local_unacked().wrapping_sub(1),
            ack: image.remote_next(),
            at: now,
            left: ROUNDS,
        });
    }

    /// When the next one is to be asked.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.queue.front().map(|tickle| tickle.at)
    }

    /// They are another node's clients now.
    pub(crate) fn clear(&mut self) {
        self.queue.clear();
    }

    fn pop_due(&mut self, now: Instant) -> Option<Tickle> {
        let is_due = self.next().is_some_and(|at| at <= now);
        if is_due { self.queue.pop_front() } else { None }
    }
}

impl Tickle {
    fn frame(&self, us: EthernetAddress) -> Vec<u8> {
        let Tuple { remote, local } = self.tuple;
        let question = FromClient {
            // The other way round: it is said to the client.
            tuple: &Tuple { remote: local, local: remote },
            control: TcpControl::None,
            sequence: self.sequence,
            ack: Some(self.ack),
            window: 0,
            payload: &[],
        };
        question.frame(us, self.via)
    }
}

impl<D: Device> Stack<D> {
    /// Asks clients of lost connections, up to the budget; true if more are due.
    pub(crate) fn tickle_some(&mut self, now: Instant) -> bool {
        for _ in 0..TICKLES_MAX {
            let Some(mut tickle) = self.tickles.pop_due(now) else { return false };
            // It has connected again with the same ends: it knows.
            if self.table.find(&tickle.tuple).is_some() {
                continue;
            }
            let frame = tickle.frame(self.config.mac);
            if let Some(token) = self.device.transmit(now.into()) {
                token.consume(frame.len(), |bytes| bytes.copy_from_slice(&frame));
                self.counters.clients_tickled += u64::from(tickle.left == ROUNDS);
                tickle.left -= 1;
            }
            if tickle.left > 0 {
                tickle.at = now + PAUSE;
                self.tickles.queue.push_back(tickle);
            }
        }
        self.tickles.next().is_some_and(|at| at <= now)
    }
}
