//! Why a datagram was not believed, and how often.

/// Why a datagram is not a beat for this node. It is counted and dropped, and never answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Shorter than the header, or than the length that the header gives.
    #[error("cut short")]
    Truncated,
    /// Not of this protocol.
    #[error("not a locum packet")]
    BadMagic,
    /// Of a version that this node does not speak.
    #[error("of a version that this node does not speak: update the older node")]
    BadVersion,
    /// Of a packet type that this node does not know.
    #[error("of an unknown packet type")]
    BadType,
    /// The length is not that of a beat, or more bytes follow it.
    #[error("of a wrong length")]
    BadLength,
    /// From another group: two groups share a LAN and a port, or a group id is mistyped.
    #[error("of another group")]
    WrongGroup,
    /// Meant for another node: a peer has a wrong address for one of us.
    #[error("meant for another node")]
    NotForUs,
    /// Not sealed with our key, or altered on the way.
    #[error("not sealed with this group's key: every node needs the same key file")]
    BadTag,
    /// Sealed by a node with our key, and still nonsense. Names the field.
    #[error("authentic, but its field `{0}` makes no sense: the sender is defective")]
    BadField(&'static str),
}

/// How many datagrams were refused, per reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct RefusalCounters {
    /// [`Refusal::Truncated`].
    pub truncated: u64,
    /// [`Refusal::BadMagic`].
    pub bad_magic: u64,
    /// [`Refusal::BadVersion`].
    pub bad_version: u64,
    /// [`Refusal::BadType`].
    pub bad_type: u64,
    /// [`Refusal::BadLength`].
    pub bad_length: u64,
    /// [`Refusal::WrongGroup`].
    pub wrong_group: u64,
    /// [`Refusal::NotForUs`].
    pub not_for_us: u64,
    /// [`Refusal::BadTag`].
    pub bad_tag: u64,
    /// [`Refusal::BadField`], whichever the field.
    pub bad_field: u64,
}

impl RefusalCounters {
    /// Counts one refused datagram.
    pub fn note(&mut self, refusal: Refusal) {
        let counter = match refusal {
            Refusal::Truncated => &mut self.truncated,
            Refusal::BadMagic => &mut self.bad_magic,
            Refusal::BadVersion => &mut self.bad_version,
            Refusal::BadType => &mut self.bad_type,
            Refusal::BadLength => &mut self.bad_length,
            Refusal::WrongGroup => &mut self.wrong_group,
            Refusal::NotForUs => &mut self.not_for_us,
            Refusal::BadTag => &mut self.bad_tag,
            Refusal::BadField(_) => &mut self.bad_field,
        };
        *counter += 1;
    }
}
