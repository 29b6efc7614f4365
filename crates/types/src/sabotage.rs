//! Deliberate defects: what the simulator's rules must catch, or they are worth nothing.
//!
//! Each marks one place where a rule of the design is kept, and breaks it when asked to. Only with
//! the feature `sabotage`, which nothing but a test enables, can it be asked; otherwise
//! [`sabotaged`] is `false` at compile time and nothing of this is left in the program.

/// One deliberate defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sabotage {
    /// A node that is not active speaks for the service.
    GateOpen,
    /// A node does not notice that it was stopped.
    PauseUnnoticed,
    /// An activation begins no new term.
    TermKept,
    /// All ranks claim at the same time.
    RanksUnstaggered,
    /// An activation is not announced.
    Unannounced,
    /// A beat may be heard twice.
    ReplayAccepted,
    /// A beat needs no proof that its sender hears us.
    EchoIgnored,
    /// A beat needs no proof that its sender knows the key.
    TagIgnored,
    /// Of two active nodes the one with the better claim yields.
    BetterYields,
    /// A node that starts does not listen first.
    NoListening,
    /// Answers to probes do not keep a node waiting.
    AnswersIgnored,
    /// The active node answers no probes.
    ProbesUnanswered,
    /// A node that stops says nothing, nor does its warden.
    NoGoodbye,
    /// A node that hands over is silent before its successor speaks.
    SilentHandover,
    /// What a node says while it hands over still bears the virtual MAC.
    LateVoice,
    /// A node pre-empts although it is not configured to.
    UnaskedPreemption,
    /// A fenced node stays fenced.
    FencedForEver,
    /// A node serves on although its service failed.
    HealthIgnored,
    /// Frames that are dropped are not counted.
    DropsUncounted,
    /// What leaves waits for no follower.
    OutputUnheld,
    /// What was sent to a follower counts as applied there.
    SentIsConfirmed,
    /// A connection comes to life with another sequence number.
    IsnOffByOne,
    /// Nobody is told what a client has acknowledged.
    AckUnlogged,
    /// A snapshot lacks a connection.
    SnapshotIncomplete,
    /// An entry is applied twice.
    EntryTwice,
    /// A follower is left behind, and the in-sync set keeps its number.
    GenerationKept,
    /// A follower is left behind, and nothing waits until others know.
    BarrierLifted,
    /// What leaves when nothing is said but that bytes have come waits for no follower.
    AckUnheld,
    /// Nobody is told that a client has finished, before its service is.
    FinUnlogged,
    /// A copy that may be old is called whole, and of the latest set there is.
    StaleElected,
    /// A node whose copy may be old serves from it.
    StaleTrusted,
    /// A follower counts as in sync although another node leads.
    SuccessorIgnored,
    /// Answers to probes wait for followers.
    ProbeAnswersHeld,
    /// A snapshot of `kv` lacks a session.
    SessionForgotten,
    /// A connection comes to life without the scale of its client's window.
    ScaleForgotten,
    /// The states of services are not compared.
    StateUncompared,
}

impl Sabotage {
    /// All of them.
    pub const ALL: [Sabotage; 36] = [
        Sabotage::GateOpen,
        Sabotage::PauseUnnoticed,
        Sabotage::TermKept,
        Sabotage::RanksUnstaggered,
        Sabotage::Unannounced,
        Sabotage::ReplayAccepted,
        Sabotage::EchoIgnored,
        Sabotage::TagIgnored,
        Sabotage::BetterYields,
        Sabotage::NoListening,
        Sabotage::AnswersIgnored,
        Sabotage::ProbesUnanswered,
        Sabotage::NoGoodbye,
        Sabotage::SilentHandover,
        Sabotage::LateVoice,
        Sabotage::UnaskedPreemption,
        Sabotage::FencedForEver,
        Sabotage::HealthIgnored,
        Sabotage::DropsUncounted,
        Sabotage::OutputUnheld,
        Sabotage::SentIsConfirmed,
        Sabotage::IsnOffByOne,
        Sabotage::AckUnlogged,
        Sabotage::SnapshotIncomplete,
        Sabotage::EntryTwice,
        Sabotage::GenerationKept,
        Sabotage::BarrierLifted,
        Sabotage::AckUnheld,
        Sabotage::FinUnlogged,
        Sabotage::StaleElected,
        Sabotage::StaleTrusted,
        Sabotage::SuccessorIgnored,
        Sabotage::ProbeAnswersHeld,
        Sabotage::SessionForgotten,
        Sabotage::ScaleForgotten,
        Sabotage::StateUncompared,
    ];
}

#[cfg(feature = "sabotage")]
thread_local! {
    static CURRENT: std::cell::Cell<Option<Sabotage>> = const { std::cell::Cell::new(None) };
}

/// Chooses the defect of this thread.
#[cfg(feature = "sabotage")]
pub fn commit(sabotage: Option<Sabotage>) {
    CURRENT.set(sabotage);
}

/// Whether this defect was chosen.
#[cfg(feature = "sabotage")]
#[inline]
pub fn sabotaged(sabotage: Sabotage) -> bool {
    CURRENT.get() == Some(sabotage)
}

/// Never: this is not a build for tests of the tests.
#[cfg(not(feature = "sabotage"))]
#[inline(always)]
pub const fn sabotaged(_sabotage: Sabotage) -> bool {
    false
}
