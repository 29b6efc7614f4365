//! What the threads of a node tell each other: messages over bounded channels, and atomic words.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use locum_appliance::{Announcement, HeartbeatStatus, NodeConfig, PeerNews, Port, ServiceStatus};
use locum_gate::Sighting;
use locum_link::Waker;
use locum_monitor::{Event, Input};
use locum_types::{Instant, LogPosition, ModeCell, NodeId, Succeeded};

/// Messages that may wait for a thread: a burst of frames for the node address, beats among them.
const MESSAGES_MAX: usize = 256;
/// The longest frame handed from thread to thread; beats and probes are far shorter.
const FRAME_LEN_MAX: usize = 1536;

/// A frame by value: handing it over allocates nothing.
pub(super) struct Frame {
    len: usize,
    bytes: [u8; FRAME_LEN_MAX],
}

impl Frame {
    /// A copy of `bytes`, unless it is too long.
    pub(super) fn copy_of(bytes: &[u8]) -> Option<Frame> {
        let mut frame = Frame { len: bytes.len(), bytes: [0; FRAME_LEN_MAX] };
        frame.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(frame)
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// To the heartbeat thread.
#[expect(clippy::large_enum_variant, reason = "by value on purpose: no allocation per frame")]
pub(super) enum ToHeartbeat {
    /// A frame for the node address.
    Frame(Port, Frame),
    /// Health, operator, link, signals.
    Input(Input),
    /// What had to leave before the beats has left: an announcement, or the last words of a node that gives its
    /// place away.
    Release,
    /// The configuration file was read again.
    Reconfigure(Box<NodeConfig>),
    /// Somebody wants to know how it is.
    Status(Sender<HeartbeatStatus>),
}

/// To the stack thread.
pub(super) enum ToStack {
    /// Start the announcement burst, again.
    Announce(Announcement),
    /// What became of a peer.
    Peer(PeerNews),
    /// Somebody wants to know how it is.
    Status(Sender<ServiceStatus>),
    /// The node is done.
    Stop,
}

/// To the control thread.
pub(super) enum ToControl {
    /// Something to log and to hand to hooks.
    Event(Event),
    /// The shutdown is complete.
    Finished,
    /// Somebody else speaks for the service address.
    Sighting(Sighting),
    /// A thread panicked; the node must go.
    Panicked(&'static str),
    /// SIGTERM or SIGINT.
    Terminate,
    /// SIGHUP.
    Reload,
}

/// The sending end of a thread's inbox. Never blocks: full means a counted drop.
pub(super) struct Outbox<T> {
    sender: Sender<T>,
    waker: Waker,
    dropped: Arc<AtomicU64>,
}

impl<T> Clone for Outbox<T> {
    fn clone(&self) -> Self {
        let Outbox { sender, waker, dropped } = self;
        Outbox { sender: sender.clone(), waker: waker.clone(), dropped: Arc::clone(dropped) }
    }
}

impl<T> Outbox<T> {
    /// Has the thread look round: a word has changed.
    pub(super) fn wake(&self) {
        self.waker.wake();
    }

    /// Sends and wakes the thread; false if its inbox was full.
    pub(super) fn send(&self, message: T) -> bool {
        let sent = match self.sender.try_send(message) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                false
            }
        };
        self.waker.wake();
        sent
    }

    /// Messages that found the inbox full.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// The receiving end of a thread's inbox.
pub(super) struct Inbox<T> {
    pub(super) receiver: Receiver<T>,
    pub(super) waker: Waker,
}

/// A bounded inbox and the outbox that leads to it.
pub(super) fn mailbox<T>() -> std::io::Result<(Outbox<T>, Inbox<T>)> {
    let (sender, receiver) = bounded(MESSAGES_MAX);
    let waker = Waker::new()?;
    let outbox = Outbox { sender, waker: waker.clone(), dropped: Arc::default() };
    Ok((outbox, Inbox { receiver, waker }))
}

/// The words that are read on hot paths.
#[derive(Debug, Default)]
pub(super) struct Words {
    /// What the node may do; written by the heartbeat thread alone.
    pub(super) mode: Arc<ModeCell>,
    /// True while the successor's first beat is awaited; written by the heartbeat thread alone.
    handing_over: AtomicBool,
    /// The other node that is active, or 0; written by the heartbeat thread alone.
    active_peer: AtomicU8,
    /// Whether another node has led since this one did; written by the heartbeat thread alone.
    succeeded: AtomicU8,
    /// What this node's copy of the log is worth; written by the stack thread alone.
    position: AtomicU64,
    /// In nanoseconds, until when a whole copy is known to be whole; as long as it is not, 0. So whichever of the two words is read
    /// first, an older one beside a newer one never makes a copy whole that is not.
    position_until: AtomicU64,
    /// Whether this node is active and hears nobody; written by the stack thread alone.
    isolated: AtomicBool,
    /// When the stack thread last came round; written by it alone.
    stack_turn: AtomicU64,
    /// Whether it has come round, and not waited since; written by it alone.
    stack_works: AtomicBool,
}

impl Words {
    pub(super) fn new(now: Instant) -> Self {
        let words = Words::default();
        words.note_stack_turn(now);
        words
    }

    /// True if a hand-over has begun.
    pub(super) fn set_handing_over(&self, handing_over: bool) -> bool {
        !self.handing_over.swap(handing_over, Ordering::AcqRel) && handing_over
    }

    pub(super) fn is_handing_over(&self) -> bool {
        self.handing_over.load(Ordering::Acquire)
    }

    /// True if that is news.
    pub(super) fn set_active_peer(&self, active: Option<NodeId>) -> bool {
        let id = active.map_or(0, NodeId::get);
        self.active_peer.swap(id, Ordering::AcqRel) != id
    }

    pub(super) fn active_peer(&self) -> Option<NodeId> {
        NodeId::new(self.active_peer.load(Ordering::Acquire)).ok()
    }

    /// True if that is news.
    pub(super) fn set_succeeded(&self, succeeded: Succeeded) -> bool {
        let word = succeeded as u8;
        self.succeeded.swap(word, Ordering::AcqRel) != word
    }

    pub(super) fn succeeded(&self) -> Succeeded {
        let word = self.succeeded.load(Ordering::Acquire);
        let is_it = |it: &Succeeded| *it as u8 == word;
        let known = [Succeeded::OnlyByTheDead, Succeeded::No].into_iter().find(is_it);
        known.unwrap_or(Succeeded::Maybe)
    }

    pub(super) fn set_position(&self, position: LogPosition, until: Option<Instant>) {
        let until = match position.is_complete() {
            true => until.map_or(u64::MAX, Instant::as_nanos),
            false => 0,
        };
        self.position_until.store(until, Ordering::Release);
        self.position.store(position.0, Ordering::Release);
    }

    /// What this node's copy is worth, and until when.
    pub(super) fn position(&self) -> (LogPosition, Option<Instant>) {
        let position = LogPosition(self.position.load(Ordering::Acquire));
        let until = self.position_until.load(Ordering::Acquire);
        (position, (until != u64::MAX).then(|| Instant::from_nanos(until)))
    }

    pub(super) fn set_isolated(&self, isolated: bool) {
        self.isolated.store(isolated, Ordering::Release);
    }

    pub(super) fn is_isolated(&self) -> bool {
        self.isolated.load(Ordering::Acquire)
    }

    pub(super) fn note_stack_turn(&self, now: Instant) {
        self.stack_turn.store(now.as_nanos(), Ordering::Release);
        self.stack_works.store(true, Ordering::Release);
    }

    pub(super) fn note_stack_waits(&self) {
        self.stack_works.store(false, Ordering::Release);
    }

    /// Since when the stack thread has been at work without a look at its link, if it is.
    pub(super) fn stack_busy_since(&self) -> Option<Instant> {
        self.stack_works.load(Ordering::Acquire).then(|| self.stack_turn())
    }

    pub(super) fn stack_turn(&self) -> Instant {
        Instant::from_nanos(self.stack_turn.load(Ordering::Acquire))
    }
}

/// The way to each thread.
#[derive(Clone)]
pub(super) struct Outboxes {
    pub(super) heartbeat: Outbox<ToHeartbeat>,
    pub(super) stack: Outbox<ToStack>,
    pub(super) control: Outbox<ToControl>,
}
