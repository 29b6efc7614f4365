//! Whether an active node that hears no peer is the only one left, or the only one that is cut off.
//!
//! A peer that falls silent while others are heard is dead, as far as anybody can tell. If the whole link is silent, it
//! may as well be this node's own cable, and the peer may be serving. Clients agree with the peer then, and whatever
//! this node says when the link is back, before it hears the peer, contradicts that: an answer that nobody else
//! knows of, or a RST.
//!
//! So nobody is told that a connection is lost before a peer that fell silent has had its time on a link that works. And a
//! node that gets no answer from anybody when it speaks, as whoever serves clients does, is *isolated*: it is quiet
//! until the peer has had that time, and of two active nodes it is the one that yields.
//!
//! The same holds for a node that has heard nobody since its start: its link may not be connected yet.
//!
//! What belongs here: when that is. What does not: what is held back ([`ServiceHalf`](crate::ServiceHalf)), and who
//! yields (`locum_monitor`).

use std::time::Duration;

use locum_types::Instant;

/// Watches the link of a node for silence.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Isolation {
    /// As long as a peer has to be heard.
    dead_after: Duration,
    heard_at: Instant,
    /// When this node last spoke to whoever is there: it became active, or no longer waited for a follower.
    spoke_at: Instant,
    doubt: Doubt,
}

/// What is not known of a peer that fell silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    /// Nothing: none did, or it is dead.
    None,
    /// Nobody else was heard either; or nobody ever.
    Open,
    /// The link works, and the peer has until then.
    Until { until: Instant, isolated: bool },
}

impl Isolation {
    pub(crate) fn new(dead_after: Duration, now: Instant) -> Self {
        Isolation { dead_after, heard_at: now, spoke_at: now, doubt: Doubt::Open }
    }

    /// A frame has come, whoever sent it.
    pub(crate) fn hear(&mut self, now: Instant) {
        if self.doubt == Doubt::Open {
            let isolated = self.is_isolated(now);
            self.doubt = Doubt::Until { until: now + self.dead_after, isolated };
        }
        self.heard_at = now;
    }

    /// This node is active from now on.
    pub(crate) fn activate(&mut self, now: Instant) {
        self.spoke_at = now;
        if let Doubt::Until { isolated, .. } = &mut self.doubt {
            // A waiting node speaks to nobody: that nobody answered told nothing.
            *isolated = false;
        }
    }

    /// A peer has fallen silent without a word: nothing waits for it any more.
    pub(crate) fn lose_peer(&mut self, now: Instant) {
        self.spoke_at = now;
        self.doubt = match self.is_silence(now, self.heard_at) {
            true => Doubt::Open,
            false => Doubt::Until { until: now + self.dead_after, isolated: false },
        };
    }

    /// A peer is heard, again or for the first time.
    pub(crate) fn meet_peer(&mut self) {
        self.doubt = Doubt::None;
    }

    /// Lets a doubt end whose time has come.
    pub(crate) fn tick(&mut self, now: Instant) {
        if matches!(self.doubt, Doubt::Until { until, .. } if now >= until) {
            self.doubt = Doubt::None;
        }
    }

    /// When this becomes another matter by itself.
    pub(crate) fn deadline(&self, now: Instant) -> Option<Instant> {
        match self.doubt {
            Doubt::None => None,
            Doubt::Open => Some(self.spoke_at + self.dead_after / 2).filter(|&at| now < at),
            Doubt::Until { until, .. } => Some(until),
        }
    }

    /// Whether another node may be the active one, for all that is known.
    pub(crate) fn doubts(&self) -> bool {
        self.doubt != Doubt::None
    }

    /// Whether it is this node that is cut off, or was until just now.
    pub(crate) fn is_isolated(&self, now: Instant) -> bool {
        match self.doubt {
            Doubt::None => false,
            Doubt::Open => self.is_silence(now, self.spoke_at),
            Doubt::Until { isolated, .. } => isolated,
        }
    }

    /// Whether nothing was heard since then for longer than living peers allow: their beats come in a third of the time.
    fn is_silence(&self, now: Instant, since: Instant) -> bool {
        now - since >= self.dead_after / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEAD_AFTER: Duration = Duration::from_millis(30);

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    /// One that knows a peer.
    fn connected() -> Isolation {
        let mut isolation = Isolation::new(DEAD_AFTER, at(0));
        isolation.hear(at(0));
        isolation.meet_peer();
        isolation
    }

    /// One that last heard something then, and loses its peer 25 ms later.
    fn cut_off_at(heard: u64) -> Isolation {
        let mut isolation = connected();
        isolation.hear(at(heard));
        isolation.lose_peer(at(heard + 25));
        isolation
    }

    /// Beats may have a link of their own, and then a waiting node hears next to nothing (swarm, seed 12006700).
    #[test]
    fn a_waiting_node_that_heard_little_is_not_isolated_when_it_becomes_active() {
        let mut isolation = cut_off_at(0);
        isolation.hear(at(100));
        isolation.activate(at(101));
        assert!(isolation.doubts() && !isolation.is_isolated(at(101)));
    }

    #[test]
    fn a_peer_that_falls_silent_on_a_link_that_is_heard_is_dead_soon() {
        let mut isolation = connected();
        isolation.hear(at(50));
        isolation.lose_peer(at(60));
        assert!(isolation.doubts() && !isolation.is_isolated(at(89)));
        isolation.tick(at(90));
        assert!(
            !isolation.doubts() && !isolation.is_isolated(at(1000)),
            "whatever becomes of the link"
        );
    }

    #[test]
    fn whoever_is_answered_when_it_speaks_is_not_isolated() {
        let mut isolation = cut_off_at(10);
        assert!(!isolation.is_isolated(at(49)), "clients wait for it");
        isolation.hear(at(49));
        assert!(!isolation.is_isolated(at(60)) && isolation.doubts());
        isolation.tick(at(79));
        assert!(!isolation.doubts());
    }

    #[test]
    fn whoever_is_not_answered_is_isolated_until_the_peer_has_had_its_time() {
        let mut isolation = cut_off_at(10);
        assert_eq!(isolation.deadline(at(49)), Some(at(50)));
        assert!(isolation.is_isolated(at(50)) && isolation.is_isolated(at(5000)));
        assert_eq!(isolation.deadline(at(50)), None);
        isolation.hear(at(5000));
        isolation.hear(at(5001));
        isolation.tick(at(5029));
        assert!(isolation.is_isolated(at(5029)) && isolation.doubts());
        assert_eq!(isolation.deadline(at(5029)), Some(at(5030)));
        isolation.tick(at(5030));
        assert!(!isolation.is_isolated(at(5030)) && !isolation.doubts());
        isolation.hear(at(9000));
        assert!(!isolation.is_isolated(at(9000)), "the peer is known to be dead");
    }

    #[test]
    fn whoever_takes_over_speaks_then() {
        let mut isolation = cut_off_at(10);
        isolation.activate(at(40));
        assert!(!isolation.is_isolated(at(54)) && isolation.is_isolated(at(55)));
    }

    #[test]
    fn whoever_has_never_heard_anybody_is_isolated() {
        let mut isolation = Isolation::new(DEAD_AFTER, at(0));
        isolation.activate(at(60));
        assert!(isolation.is_isolated(at(75)) && isolation.is_isolated(at(5000)));
        isolation.hear(at(5000));
        assert!(isolation.is_isolated(at(5029)), "a peer may be heard next");
        isolation.tick(at(5030));
        assert!(!isolation.is_isolated(at(5030)));
    }

    #[test]
    fn a_peer_that_is_heard_ends_the_doubt() {
        let mut isolation = cut_off_at(10);
        isolation.hear(at(60));
        isolation.meet_peer();
        assert!(!isolation.is_isolated(at(60)) && !isolation.doubts());
    }
}
