//! The play: what is done to the nodes, when, and what must hold afterwards. Data, no machinery.

use std::time::Duration;

/// How often nodes beat, and after how long a silence they are dead: the defaults of `locum run`.
pub(super) const INTERVAL: Duration = ms(10);
/// See [`INTERVAL`].
pub(super) const DEAD_AFTER: Duration = ms(30);
/// The time a frame takes on each cable: two of them lie between a client and a node.
pub(super) const CABLE: Duration = Duration::from_micros(50);
/// Priorities of the nodes, by id from 1.
pub(super) const PRIORITIES: [u8; 3] = [200, 150, 100];
/// Seeds the world. The same seed plays the same way every time.
pub(super) const SEED: u64 = 7;

/// A client, and how often it asks. They share three machines, each of which keeps one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Client {
    /// Datagrams to the echo service.
    Udp,
    /// ICMPv6 echo requests.
    Ping,
    /// Requests to the echo service by IPv4, on one connection.
    Tcp,
    /// The same by IPv6.
    Tcp6,
    /// Commands to the service `kv`, on one connection.
    Kv,
}

impl Client {
    /// All of them, in the order they are shown.
    pub(super) const ALL: [Client; 5] =
        [Client::Udp, Client::Ping, Client::Tcp, Client::Tcp6, Client::Kv];
    /// How many machines they run on.
    pub(super) const MACHINES: u8 = 3;

    /// What it is called.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Client::Udp => "udp",
            Client::Ping => "ping6",
            Client::Tcp => "tcp",
            Client::Tcp6 => "tcp6",
            Client::Kv => "kv",
        }
    }

    /// How often it asks.
    pub(super) const fn every(self) -> Duration {
        match self {
            Client::Udp => ms(1),
            Client::Ping | Client::Tcp | Client::Tcp6 | Client::Kv => ms(2),
        }
    }

    /// The machine that it runs on, from 0.
    pub(super) const fn machine(self) -> u8 {
        match self {
            Client::Udp | Client::Tcp => 0,
            Client::Ping | Client::Tcp6 => 1,
            Client::Kv => 2,
        }
    }

    /// Whether it keeps a connection.
    pub(super) const fn is_connected(self) -> bool {
        match self {
            Client::Tcp | Client::Tcp6 | Client::Kv => true,
            Client::Udp | Client::Ping => false,
        }
    }

    /// Its position in [`Client::ALL`].
    pub(super) const fn index(self) -> usize {
        self as usize
    }
}

/// Something done to the world, mostly to the victim of the act: whoever was active when it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Three nodes are plugged in and start.
    StartNodes,
    /// The clients begin to ask.
    StartClients,
    /// SIGKILL; the warden of the node is left.
    Kill,
    /// The victim's process is started again.
    Restart,
    /// The operator's `locum handover --to` the given node.
    HandOver(u8),
    /// The victim's cable is cut where it cannot see it.
    Cut,
    /// The cable is whole again.
    Heal,
    /// SIGSTOP.
    Freeze,
    /// SIGCONT.
    Thaw,
}

impl Action {
    /// In a few words, for captions.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Action::StartNodes => "nodes start",
            Action::StartClients => "clients start",
            Action::Kill => "SIGKILL",
            Action::Restart => "restart",
            Action::HandOver(_) => "hand-over",
            Action::Cut => "link cut",
            Action::Heal => "link healed",
            Action::Freeze => "SIGSTOP",
            Action::Thaw => "SIGCONT",
        }
    }
}

/// An action and its time, counted from the beginning of the act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) after: Duration,
    pub(super) action: Action,
}

/// A promise that an act must keep. Bounds are part of it: they are announced, then measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// At the end of the act one node is active, no more and no less.
    OneActive,
    /// A node other than the victim is active this soon after the first step.
    ActiveWithin(Duration),
    /// No silence of this client is longer than that.
    SilenceAtMost(Client, Duration),
    /// Every request of this client is answered.
    NothingLost(Client),
    /// Every connection goes on, byte for byte, and no silence on it is longer than that.
    ConnectionsKept(Duration),
    /// The group is protected at the end of the act, and has been since this soon after the first step.
    ProtectedWithin(Duration),
    /// All who ask for the service address are answered, by the active node alone.
    OnlyTheActiveAnswers,
    /// Two nodes are active at the same time for no longer than this.
    OverlapAtMost(Duration),
    /// Two may be active while the cable is cut; this soon after its healing one has yielded.
    YieldsWithin(Duration),
    /// The victim, back again, is waiting at the end of the act.
    VictimWaits,
    /// The victim, thawed, sends nothing for the service address.
    ZombieIsSilent,
    /// Nothing for the service address left a node that was not active, from the first act on.
    NoLeaks,
}

/// One act of the play.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Act {
    pub(super) title: &'static str,
    /// What is about to happen, and what to look for.
    pub(super) story: &'static str,
    pub(super) steps: &'static [Step],
    pub(super) lasts: Duration,
    pub(super) checks: &'static [Check],
}

/// The play. Each machine keeps one connection through all of it.
pub(super) const ACTS: &[Act] = &[
    Act {
        title: "Three nodes start, one serves",
        story: "They listen, elect one, and the others stay silent.",
        steps: &[step(0, Action::StartNodes), step(400, Action::StartClients)],
        lasts: ms(1_000),
        checks: &[
            Check::ActiveWithin(ms(300)),
            Check::OneActive,
            Check::OnlyTheActiveAnswers,
            Check::NothingLost(Client::Udp),
            Check::ProtectedWithin(ms(500)),
            Check::NoLeaks,
        ],
    },
    Act {
        title: "Kill the active node",
        story: "SIGKILL leaves no time for a goodbye. The warden, its parent, says it instead.",
        steps: &[step(0, Action::Kill), step(1_400, Action::Restart)],
        lasts: ms(2_200),
        checks: &[
            Check::ActiveWithin(ms(5)),
            Check::SilenceAtMost(Client::Udp, ms(5)),
            Check::SilenceAtMost(Client::Ping, ms(6)),
            Check::ConnectionsKept(ms(10)),
            Check::ProtectedWithin(ms(250)),
            Check::VictimWaits,
            Check::OverlapAtMost(Duration::ZERO),
            Check::OneActive,
            Check::NoLeaks,
        ],
    },
    Act {
        title: "Hand over",
        story: "The operator asks. The old node serves until it hears that the new one does.",
        steps: &[step(0, Action::HandOver(3))],
        lasts: ms(1_200),
        checks: &[
            Check::ActiveWithin(ms(5)),
            Check::NothingLost(Client::Udp),
            Check::NothingLost(Client::Ping),
            Check::SilenceAtMost(Client::Udp, ms(5)),
            Check::ConnectionsKept(ms(10)),
            Check::ProtectedWithin(ms(250)),
            Check::OverlapAtMost(ms(1)),
            Check::OneActive,
            Check::NoLeaks,
        ],
    },
    Act {
        title: "Cut the active node off, then mend the cable",
        story: "Nobody says goodbye: the beats stop, the probes stay unanswered, time runs out.",
        steps: &[step(0, Action::Cut), step(1_400, Action::Heal)],
        lasts: ms(2_800),
        checks: &[
            Check::ActiveWithin(ms(50)),
            Check::SilenceAtMost(Client::Udp, ms(50)),
            Check::SilenceAtMost(Client::Ping, ms(50)),
            Check::ConnectionsKept(ms(60)),
            Check::ProtectedWithin(ms(250)),
            Check::YieldsWithin(ms(20)),
            Check::VictimWaits,
            Check::OneActive,
            Check::NoLeaks,
        ],
    },
    Act {
        title: "Freeze the active node, then wake the zombie",
        story: "SIGSTOP: it wakes long after it was replaced, and still believes to be active.",
        steps: &[step(0, Action::Freeze), step(1_400, Action::Thaw)],
        lasts: ms(2_400),
        checks: &[
            Check::ActiveWithin(ms(50)),
            Check::SilenceAtMost(Client::Udp, ms(50)),
            Check::SilenceAtMost(Client::Ping, ms(50)),
            Check::ConnectionsKept(ms(60)),
            Check::ProtectedWithin(ms(250)),
            Check::ZombieIsSilent,
            Check::VictimWaits,
            Check::OverlapAtMost(Duration::ZERO),
            Check::OneActive,
            Check::NoLeaks,
        ],
    },
];

/// How long the whole play lasts, in its own time.
pub(super) fn lasts() -> Duration {
    ACTS.iter().map(|act| act.lasts).sum()
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const fn step(after_ms: u64, action: Action) -> Step {
    Step { after: ms(after_ms), action }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_play_is_over_within_fifteen_seconds() {
        assert!(lasts() < Duration::from_secs(15));
    }

    #[test]
    fn steps_are_in_order_and_within_their_act() {
        for act in ACTS {
            assert!(act.steps.is_sorted_by_key(|step| step.after), "{}", act.title);
            assert!(act.steps.iter().all(|step| step.after < act.lasts), "{}", act.title);
        }
    }

    #[test]
    fn every_act_ends_with_one_active_node_protected_and_no_leak() {
        for act in ACTS {
            for check in [Check::OneActive, Check::NoLeaks] {
                assert!(act.checks.contains(&check), "{}: {check:?}", act.title);
            }
            let protected = |check: &Check| matches!(check, Check::ProtectedWithin(_));
            assert!(act.checks.iter().any(protected), "{}", act.title);
        }
    }

    #[test]
    fn each_machine_keeps_one_connection() {
        for machine in 0..Client::MACHINES {
            let connected = |client: &Client| client.machine() == machine && client.is_connected();
            assert_eq!(Client::ALL.iter().filter(|client| connected(client)).count(), 1);
        }
    }

    #[test]
    fn clients_stand_where_their_index_says() {
        for (index, client) in Client::ALL.into_iter().enumerate() {
            assert_eq!(client.index(), index);
        }
    }
}
