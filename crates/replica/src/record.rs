//! The record layer: what makes a byte stream between two nodes authentic and secret.
//!
//! What belongs here: the greeting, the handshake, sealing and opening of records. What does not: what
//! the records say (`codec`), and what follows from a refusal ([`Leader`](crate::Leader),
//! [`Follower`](crate::Follower)).
//!
//! It is the Noise protocol `Noise_NNpsk0_25519_AESGCM_SHA256` by the crate `snow`, with AES-GCM of
//! `ring`. Why so:
//! - **Not a framing of our own** over a bare AEAD. That needs a key schedule, fresh keys for each session
//!   and a rule against each of replay, reflection and reuse of nonces; Noise has them, proven and reviewed.
//! - **`NNpsk0`**: a group has one shared key and its nodes no key pairs. The shared key authenticates
//!   both ends from the first message on, so a stranger costs one failed decryption and no Diffie-Hellman; the
//!   ephemeral keys give *forward secrecy*: whoever learns the group's key later cannot read what was recorded.
//!   `KK` would tell the nodes of a group apart, which the beats do not either.
//! - **Replay of an old session**: the leader's ephemeral key is new each time, so a recorded caller gets
//!   through its first message at most and can never seal a record. That is why a call proves nothing and
//!   displaces nobody before its first record, the Hello, is open.
//! - **Reflection**: caller and called have different keys per direction, and the greeting, which says who
//!   calls whom with which boot nonce, is the handshake's prologue: changed or turned round it does not verify.
//! - **Nonces** are counters that both ends keep and nobody sends: a record that is dropped, repeated or moved
//!   does not open, and ends the session. Keys change every 65 536 records (at most 1 GiB), which is far below
//!   the limits of AES-GCM (RFC 8446 §5.5) and throws away what could open older records.
//! - **Truncation**: the end of a stream says nothing. A follower has what it has confirmed, no more.
//! - **Speed**, one core of the machine that measured it (records of 16 KiB; `cargo run --release --example log_cost`
//!   has the whole path): AES-GCM of `ring` 3.0 GB/s, its ChaCha20-Poly1305 1.3 GB/s, those of RustCrypto 0.7 and 0.8
//!   GB/s. A record of 128 bytes takes 0.2 µs with the first and 0.4 to 2.5 µs with the others. So everything is
//!   encrypted, always: an option without encryption would save nothing that can be noticed.
//!
//! `ring` has assembly and C within; this crate has not, and it is where TLS stacks get their ciphers too.

use locum_types::{BootNonce, GroupId, NodeId};
use locum_wire::Key;
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::{CryptoResolver, DefaultResolver, RingResolver};
use snow::types::{Cipher, Dh, Hash, Random};
use snow::{Builder, HandshakeState, TransportState};

use crate::Refusal;

/// 32 bytes from a good random source, used for one connection only and never again.
pub type Entropy = [u8; 32];

/// The longest record in bytes, with its length and tag.
pub const RECORD_LEN_MAX: usize = 16 * 1024;
/// The longest message in a record.
pub const MESSAGE_LEN_MAX: usize = RECORD_LEN_MAX - LENGTH_LEN - TAG_LEN;
/// The bytes of a record's length.
pub(crate) const LENGTH_LEN: usize = 2;
/// The bytes of a record's tag.
pub(crate) const TAG_LEN: usize = 16;

/// The bytes of a greeting.
const GREETING_LEN: usize = 18;
/// The bytes of an ephemeral public key.
const PUBLIC_LEN: usize = 32;
/// All that a caller sends before the leader answers: the greeting, a public key, a tag.
pub(crate) const CALL_LEN: usize = GREETING_LEN + PUBLIC_LEN + TAG_LEN;
/// The answer: a public key, the sealed boot nonce, a tag.
pub(crate) const ANSWER_LEN: usize = PUBLIC_LEN + NONCE_LEN + TAG_LEN;
const NONCE_LEN: usize = 8;

pub(crate) const PROTOCOL: &str = "Noise_NNpsk0_25519_AESGCM_SHA256";
pub(crate) const PURPOSE: &str = "locum replication, version 1";
const MAGIC: [u8; 4] = *b"LOCR";
const VERSION: u8 = 1;
/// After so many records each way the key of that way is replaced.
pub(crate) const RECORDS_PER_KEY: u64 = 1 << 16;

/// The key of the sessions of a group: derived from the group's key, which also seals the beats.
#[derive(Clone)]
pub(crate) struct SessionKey([u8; 32]);

impl SessionKey {
    pub(crate) fn new(key: &Key) -> Self {
        SessionKey(key.derive(PURPOSE))
    }

    #[cfg(test)]
    pub(crate) const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Who calls whom. Readable by everybody, and authenticated by the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Greeting {
    pub(crate) group: GroupId,
    /// The caller: a follower.
    pub(crate) from: NodeId,
    /// The called: the leader.
    pub(crate) to: NodeId,
    /// The caller's boot nonce.
    pub(crate) boot: BootNonce,
}

impl Greeting {
    fn bytes(&self) -> [u8; GREETING_LEN] {
        let mut bytes = [0; GREETING_LEN];
        bytes[0..4].copy_from_slice(&MAGIC);
        bytes[4] = VERSION;
        // Byte 5 is reserved.
        bytes[6..8].copy_from_slice(&self.group.get().to_be_bytes());
        bytes[8] = self.from.get();
        bytes[9] = self.to.get();
        bytes[10..18].copy_from_slice(&self.boot.0.to_be_bytes());
        bytes
    }

    /// Reads the greeting of a call to node `to` of `group`.
    fn parse(bytes: &[u8; GREETING_LEN], group: GroupId, to: NodeId) -> Result<Self, Refusal> {
        let [m0, m1, m2, m3, version, reserved, g0, g1, from, called, boot @ ..] = *bytes;
        if [m0, m1, m2, m3] != MAGIC {
            return Err(Refusal::BadGreeting);
        }
        if version != VERSION {
            return Err(Refusal::BadVersion(version));
        }
        if reserved != 0 {
            return Err(Refusal::BadGreeting);
        }
        let called_group = u16::from_be_bytes([g0, g1]);
        if called_group != group.get() {
            return Err(Refusal::WrongGroup(called_group));
        }
        let none_of_ours = Refusal::NotForUs { from, to: called };
        if called != to.get() || from == called {
            return Err(none_of_ours);
        }
        let from = NodeId::new(from).map_err(|_| none_of_ours)?;
        Ok(Greeting { group, from, to, boot: BootNonce(u64::from_be_bytes(boot)) })
    }
}

/// A call that waits for its answer: the follower's side of the handshake.
pub(crate) struct Call(Box<HandshakeState>);

impl Call {
    /// Begins a session; the bytes are to be sent.
    pub(crate) fn new(
        key: &SessionKey,
        greeting: &Greeting,
        entropy: Entropy,
    ) -> Result<(Self, [u8; CALL_LEN]), Refusal> {
        let prologue = greeting.bytes();
        let mut handshake = builder(key, &prologue, entropy)
            .and_then(Builder::build_initiator)
            .map_err(|_| Refusal::BadHandshake)?;
        let mut call = [0; CALL_LEN];
        call[..GREETING_LEN].copy_from_slice(&prologue);
        handshake
            .write_message(&[], &mut call[GREETING_LEN..])
            .map_err(|_| Refusal::BadHandshake)?;
        Ok((Call(Box::new(handshake)), call))
    }

    /// Takes the answer: the session, and the leader's boot nonce.
    pub(crate) fn answered(mut self, answer: &[u8]) -> Result<(Channel, BootNonce), Refusal> {
        // As long as the whole answer: snow opens in place before it knows how little was sealed.
        let mut boot = [0; ANSWER_LEN];
        let len = self.0.read_message(answer, &mut boot).map_err(|_| Refusal::BadHandshake)?;
        let boot: [u8; NONCE_LEN] = boot[..len].try_into().map_err(|_| Refusal::BadHandshake)?;
        let channel = Channel::new(*self.0)?;
        Ok((channel, BootNonce(u64::from_be_bytes(boot))))
    }
}

/// Takes a call to node `node` of `group`: who says that it calls, the session, and the answer to be sent.
/// Nothing is proven before the caller has sealed a record.
pub(crate) fn answer(
    key: &SessionKey,
    (group, node, boot): (GroupId, NodeId, BootNonce),
    call: &[u8],
    entropy: Entropy,
) -> Result<(Greeting, Channel, [u8; ANSWER_LEN]), Refusal> {
    let (prologue, message) =
        call.split_first_chunk::<GREETING_LEN>().ok_or(Refusal::BadGreeting)?;
    let greeting = Greeting::parse(prologue, group, node)?;
    let mut answer = [0; ANSWER_LEN];
    let mut shake = || {
        let mut handshake = builder(key, prologue, entropy)?.build_responder()?;
        handshake.read_message(message, &mut [0; CALL_LEN])?;
        handshake.write_message(&boot.0.to_be_bytes(), &mut answer)?;
        Ok(handshake)
    };
    let handshake = shake().map_err(|_: snow::Error| Refusal::BadHandshake)?;
    Ok((greeting, Channel::new(handshake)?, answer))
}

fn builder<'a>(
    key: &'a SessionKey,
    prologue: &'a [u8],
    entropy: Entropy,
) -> Result<Builder<'a>, snow::Error> {
    Builder::with_resolver(PROTOCOL.parse()?, Box::new(Resolver(entropy)))
        .prologue(prologue)?
        .psk(0, &key.0)
}

/// A session after its handshake: seals and opens records, in order.
pub(crate) struct Channel {
    state: TransportState,
    sealed: u64,
    opened: u64,
}

impl Channel {
    fn new(handshake: HandshakeState) -> Result<Self, Refusal> {
        let state = handshake.into_transport_mode().map_err(|_| Refusal::BadHandshake)?;
        Ok(Channel { state, sealed: 0, opened: 0 })
    }

    /// Writes `message` as a record to the front of `out`, which has room for [`RECORD_LEN_MAX`]; returns its length.
    pub(crate) fn seal(&mut self, message: &[u8], out: &mut [u8]) -> Result<usize, Refusal> {
        let sealed = self
            .state
            .write_message(message, &mut out[LENGTH_LEN..])
            .map_err(|_| Refusal::BadLength(message.len()))?;
        out[..LENGTH_LEN].copy_from_slice(&(sealed as u16).to_be_bytes());
        self.sealed += 1;
        if self.sealed.is_multiple_of(RECORDS_PER_KEY) {
            self.state.rekey_outgoing();
        }
        Ok(LENGTH_LEN + sealed)
    }

    /// Opens a record without its length into `message`, which has room for [`RECORD_LEN_MAX`]; returns the message's length.
    pub(crate) fn open(&mut self, sealed: &[u8], message: &mut [u8]) -> Result<usize, Refusal> {
        let len = self.state.read_message(sealed, message).map_err(|_| Refusal::BadSeal)?;
        self.opened += 1;
        if self.opened.is_multiple_of(RECORDS_PER_KEY) {
            self.state.rekey_incoming();
        }
        Ok(len)
    }
}

/// The length of what follows a record's length.
pub(crate) fn sealed_len(length: [u8; LENGTH_LEN]) -> Result<usize, Refusal> {
    match usize::from(u16::from_be_bytes(length)) {
        len if (TAG_LEN + 1..=RECORD_LEN_MAX - LENGTH_LEN).contains(&len) => Ok(len),
        len => Err(Refusal::BadLength(len)),
    }
}

/// Chooses implementations: the fast cipher, and the given entropy in place of the system's, because
/// nothing in here may differ between two runs with the same inputs.
struct Resolver(Entropy);

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(Once(Some(self.0))))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        DefaultResolver.resolve_dh(choice)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        RingResolver.resolve_cipher(choice)
    }
}

/// Gives its entropy away once: it becomes the ephemeral private key.
struct Once(Option<Entropy>);

impl Random for Once {
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), snow::Error> {
        let entropy = self.0.take().filter(|entropy| entropy.len() == dest.len());
        dest.copy_from_slice(&entropy.ok_or(snow::Error::Rng)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
