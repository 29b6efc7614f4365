//! Connections that go on where they were cut: images become flows, flows become images, and clients are
//! made to move at once.
//!
//! What belongs here: [`Stack::restore`], [`Stack::image`], and the greeting of a restored flow's client.
//! What does not: how a socket gets a past ([`crate::forge`]), and when which flow is restored.
//!
//! # What makes the client move
//!
//! A client whose server fell silent waits for a timer that doubles: seconds, not the milliseconds that a
//! takeover takes. So a restored flow speaks first, as soon as it is served:
//!
//! | what is outstanding | what is sent |
//! |---|---|
//! | output, or our FIN | it, at once, with the acknowledgement and the window |
//! | output, and the client's window is zero | a probe of one byte (RFC 9293 §3.8.6.1) |
//! | our SYN | the SYN, with the acknowledgement of the client's |
//! | nothing of ours | one acknowledgement, which tells the window |
//! | nothing at all (TIME-WAIT) | nothing: a client that is gone would answer with a reset |
//!
//! Then, if the client may have something on its way that was lost, come three duplicates of that
//! acknowledgement: they make it retransmit at once (RFC 5681 §3.2) instead of after its timeout. Where
//! output is outstanding they bear a sequence number beyond it, and so does a copy of the acknowledgement
//! before them: the client may have all of it, and takes nothing from below. They are left out when the
//! client's FIN is here, when our window is closed, and when the client was heard first, at the number
//! that is expected: then nothing is missing, or it moves by itself. A client with nothing on its way
//! ignores them. They are sent once in the life of a restored flow, and to every client when a rival has yielded that
//! may have taken what it sent; they ask for no answer, so that they cannot loop.
//!
//! They do not move every client: one that negotiated SACK may count only duplicates that bear a SACK
//! block (RFC 6675 §2, Linux among them), and there is none to bear unless later segments arrive. Such a
//! client moves when it sends anything more, or by its timer.

use locum_types::Instant;
use smoltcp::iface::{Interface, SocketSet};
use smoltcp::phy::Device;
use smoltcp::wire::{EthernetAddress, TcpControl};

use crate::Limits;
use crate::flow::{Flow, Past};
use crate::forge::FromClient;
use crate::image::FlowImage;
use crate::service::FlowId;
use crate::slot::Slot;
use crate::stack::Stack;
use crate::table::Key;

/// So many duplicates start a fast retransmission (RFC 5681 §3.2).
const DUPLICATES: usize = 3;

/// Why a connection is not restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreRefused {
    /// Nothing listens there.
    #[error("no TCP service listens on port {port}: both nodes need the same services")]
    NoService {
        /// The port.
        port: u16,
    },
    /// There is a connection with this number or these ends.
    #[error("flow {} is there already", flow.0)]
    Known {
        /// The number of the image.
        flow: FlowId,
    },
    /// There are as many connections as there may be.
    #[error("there are {flows_max} connections already: raise flows_max on this node")]
    Full {
        /// How many there may be.
        flows_max: usize,
    },
    /// The image contradicts itself, or holds more than the buffers of this node do.
    #[error("the image of flow {} cannot be: both nodes need the same buffer sizes", flow.0)]
    Impossible {
        /// The number of the image.
        flow: FlowId,
    },
}

impl<D: Device> Stack<D> {
    /// Goes on with a connection, under its own number; flows accepted later get higher ones. Its service
    /// is told nothing of what the image says: its state knows.
    ///
    /// Everything that the client must hear is sent by the next polls, in their budget, or at once when
    /// the client is heard; see the [module documentation](self).
    pub fn restore(&mut self, now: Instant, image: &FlowImage) -> Result<(), RestoreRefused> {
        let (flow, tuple) = (image.id, image.tuple);
        let port = tuple.local.port();
        let listener = self.tcp_listener(port).ok_or(RestoreRefused::NoService { port })?;
        if self.table.find(&tuple).is_some() || self.table.find_id(flow).is_some() {
            return Err(RestoreRefused::Known { flow });
        }
        let flows_max = self.config.limits.flows_max;
        if self.table.len() >= flows_max {
            return Err(RestoreRefused::Full { flows_max });
        }
        let forged = self.forge.materialise(now, image, &self.config.limits);
        let forged = forged.ok_or(RestoreRefused::Impossible { flow })?;
        let restored = Flow::new(flow, tuple, listener, forged, Past::of(image), now);
        let ends = (tuple.remote.ip().into(), tuple.local.ip().into());
        self.introduce(now, ends, EthernetAddress(image.via));
        let key = self.table.insert_as(restored.with(image));
        self.counters.flows_restored += 1;
        if image.opened {
            self.serve_later(key);
        } else {
            self.half_open.len += 1;
            self.half_open.push(key, self.config.limits.half_open_max, &self.table);
            // Before its answer is sent, a SYN takes no data.
            self.serve(now, key);
        }
        Ok(())
    }

    /// A flow as it is now, from which [`Stack::restore`] makes the same. `None` if there is none, it is
    /// over, or no copy of its output was kept, as is done while there is a journal.
    pub fn image(&mut self, flow: FlowId) -> Option<FlowImage> {
        match self.table.find_id(flow) {
            Some(key) => {
                let flow = self.table.get_mut(key)?;
                let listener = self.listeners.get(flow.listener)?;
                if listener.replicated { flow.image() } else { Some(flow.outline()) }
            }
            None => self.shadows.image(flow),
        }
    }

    /// Gives a flow that smoltcp got stuck with a new socket in the same state. False if there is no image
    /// of it.
    pub(crate) fn heal(&mut self, now: Instant, key: Key) -> bool {
        let Some(flow) = self.table.get_mut(key) else { return false };
        let Some(image) = flow.image() else { return false };
        let Some(forged) = self.forge.materialise(now, &image, &self.config.limits) else {
            return false;
        };
        flow.replace_socket(forged);
        true
    }

    /// Makes the clients of all connections move, after some were served by another node for a while: what they sent to
    /// it is lost.
    pub fn nudge_clients(&mut self) {
        for key in self.table.keys() {
            if let Some(flow) = self.table.get_mut(key) {
                flow.client_waits = true;
                flow.has_spoken = true;
                flow.line_up(key, &mut self.dirty);
            }
        }
    }

    /// Sends the duplicates, once the acknowledgement that they duplicate has left: `sent` just now, or
    /// before.
    pub(crate) fn nudge_client(&mut self, now: Instant, key: Key, sent: bool) {
        let Some(flow) = self.table.get_mut(key) else { return };
        flow.has_spoken |= sent;
        // A client that has not acknowledged our SYN may have sent more since, all the same.
        if !flow.client_waits || !flow.has_spoken || !flow.opened {
            return;
        }
        flow.client_waits = false;
        if !flow.may_wait() {
            return;
        }
        self.counters.clients_nudged += 1;
        if !flow.outstanding() {
            let (interface, device) = (&mut self.interface, &mut self.device);
            let frame = question(self.config.mac, flow, flow.local_unacked());
            repeat(now, interface, device, &mut flow.set, &frame);
            return;
        }
        // The client ignores an acknowledgement whose number is below what it expects (RFC 9293 §3.10.7.4), and
        // it may have all that is outstanding. So the same is said from beyond that, by a second socket.
        let number = flow.local_unacked().wrapping_add(flow.client_may_be_ahead());
        let voice = flow.with_all_acknowledged(number);
        let limits = Limits { rx_buffer: flow.room(), tx_buffer: 0, ..self.config.limits.clone() };
        let Some(mut forged) = self.forge.materialise(now, &voice, &limits) else { return };
        let (interface, device) = (&mut self.interface, &mut self.device);
        interface.poll_egress(now.into(), device, &mut forged.set);
        let frame = question(self.config.mac, flow, number);
        repeat(now, interface, device, &mut forged.set, &frame);
    }
}

/// A byte of the client below the window, which acknowledges up to `number`: smoltcp answers it with an
/// acknowledgement (RFC 9293 §3.10.7.4), and looks at nothing else in it.
pub(crate) fn question(us: EthernetAddress, flow: &Flow, number: u32) -> Vec<u8> {
    let below = FromClient {
        tuple: &flow.tuple,
        control: TcpControl::None,
        sequence: flow.remote_next().wrapping_sub(1),
        ack: Some(number),
        window: flow.window,
        payload: &[0],
    };
    below.frame(us, us)
}

/// Makes the socket in `set` send the duplicates.
fn repeat<D: Device>(
    now: Instant,
    interface: &mut Interface,
    device: &mut D,
    set: &mut SocketSet<'static>,
    frame: &[u8],
) {
    for _ in 0..DUPLICATES {
        ask(now, interface, device, set, frame);
    }
}

/// Makes the socket in `set` answer a [`question`].
pub(crate) fn ask<D: Device>(
    now: Instant,
    interface: &mut Interface,
    device: &mut D,
    set: &mut SocketSet<'static>,
    frame: &[u8],
) {
    interface.poll_ingress_single(now.into(), &mut Slot::new(frame, device), set);
}

impl Past {
    fn of(image: &FlowImage) -> Self {
        Past {
            negotiated: image.negotiated,
            local_isn: image.local_isn,
            remote_isn: image.remote_isn,
            via: image.via,
            window: image.window,
        }
    }
}

impl Flow {
    /// With the book-keeping of an image whose socket it has.
    fn with(mut self, image: &FlowImage) -> Self {
        self.delivered = image.delivered;
        self.held = image.held.len();
        self.acked = image.acked;
        self.unacked = image.unacked.len();
        self.output = Some(image.unacked.iter().copied().collect());
        self.opened = image.opened;
        self.paused = image.paused;
        self.fin_noted = image.client_fin;
        self.finished = image.finished;
        self.closing = image.closing;
        self.fin_acked_noted = image.fin_acked;
        self.last_ack = image.opened.then(|| image.local_unacked());
        self.client_waits = true;
        self.unheard = true;
        self
    }

    /// Of what is outstanding, how much the client can have received: no more than its window takes, which
    /// leaves room for what is said after it.
    fn client_may_be_ahead(&self) -> u32 {
        let room = self.client_window().saturating_sub(1);
        let fin = usize::from(self.fin_outstanding());
        room.min(self.socket().send_queue() + fin) as u32
    }

    /// How many bytes the client may send.
    pub(crate) fn room(&self) -> usize {
        self.socket().recv_capacity() - self.socket().recv_queue()
    }

    /// The connection as if the client had acknowledged up to `number`, and nothing were held.
    fn with_all_acknowledged(&self, number: u32) -> FlowImage {
        let received = self.socket().recv_queue() as u64;
        FlowImage {
            id: self.id,
            tuple: self.tuple,
            negotiated: self.negotiated,
            local_isn: self.local_isn,
            remote_isn: self.first_byte.wrapping_sub(1),
            via: self.via,
            delivered: self.delivered.wrapping_add(received),
            held: Vec::new(),
            acked: u64::from(number.wrapping_sub(self.local_isn).wrapping_sub(1)),
            unacked: Vec::new(),
            window: self.window,
            opened: true,
            paused: false,
            client_fin: false,
            finished: false,
            closing: false,
            fin_acked: false,
        }
    }

    /// What other nodes know of a connection whose service is left out of the log: that it is there.
    fn outline(&self) -> FlowImage {
        FlowImage {
            id: self.id,
            tuple: self.tuple,
            negotiated: self.negotiated,
            local_isn: self.local_isn,
            remote_isn: self.first_byte.wrapping_sub(1),
            via: self.via,
            delivered: 0,
            held: Vec::new(),
            acked: 0,
            unacked: Vec::new(),
            window: self.window,
            opened: false,
            paused: false,
            client_fin: false,
            finished: false,
            closing: false,
            fin_acked: false,
        }
    }

    fn image(&mut self) -> Option<FlowImage> {
        if self.ended_by.is_some() || self.is_over() {
            return None;
        }
        let output = self.output.as_ref();
        let unacked: Vec<u8> = match output {
            Some(output) => output.iter().copied().collect(),
            None => Vec::new(),
        };
        if unacked.len() != self.unacked {
            return None;
        }
        let mut held = vec![0; self.socket().recv_queue()];
        let peeked = self.socket_mut().peek_slice(&mut held).unwrap_or(0);
        held.truncate(peeked);
        Some(FlowImage {
            delivered: self.delivered,
            held,
            acked: self.acked,
            unacked,
            opened: self.opened,
            paused: self.paused,
            client_fin: self.opened && self.client_finished(),
            finished: self.finished,
            closing: self.closing,
            fin_acked: self.closing && self.unacked == 0 && self.fin_is_acked(),
            ..self.outline()
        })
    }
}
