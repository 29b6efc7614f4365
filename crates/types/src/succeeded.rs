//! Whether another node has led since this one did.

/// What a node that was active, and fell silent without a successor, knows of those who may have followed it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Succeeded {
    /// Another has led, or may have.
    #[default]
    Maybe,
    /// No life of a node that was heard since has. One that is over may have: of a node that was dead already, or has
    /// been restarted.
    OnlyByTheDead,
    /// Every other node was heard, in the life it had, and none has.
    No,
}
