//! Initial sequence numbers by RFC 6528, and how to make smoltcp use one.
//!
//! smoltcp draws its ISN from an interface's PCG32, seeded by `Config::random_seed`: a new interface draws
//! one `u16` for IPv4 identifiers (again while it is 0), then the ISN. The generator is a
//! permutation, so it can be run backwards from the wanted number to the seed.

use std::hash::Hasher;

use locum_types::Instant;
use siphasher::sip::SipHasher24;

use crate::Tuple;

const MULTIPLIER: u64 = 0xbb2e_fcec_3c39_611d;
const INCREMENT: u64 = 0x7590_ef39;
const MULTIPLIER_INVERSE: u64 = inverse(MULTIPLIER);
/// The wanted number is the top bits of the state, above these.
const LOW_BITS: u32 = 29;
/// Spreads the attempts over the low bits.
const SALT_STEP: u64 = 0x9e37_79b1;

/// The inverse of an odd number modulo 2^64, by Newton's method.
const fn inverse(number: u64) -> u64 {
    let (mut inverse, mut round) = (number, 0);
    while round < 6 {
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(number.wrapping_mul(inverse)));
        round += 1;
    }
    inverse
}

const fn step_back(state: u64) -> u64 {
    state.wrapping_sub(INCREMENT).wrapping_mul(MULTIPLIER_INVERSE)
}

const fn output(state: u64) -> u32 {
    (state >> (LOW_BITS - (state >> 61) as u32)) as u32
}

/// ISN = M + F(localip, localport, remoteip, remoteport, secretkey), where M ticks every 4 µs.
pub fn choose(key: &[u8; 16], tuple: &Tuple, now: Instant) -> u32 {
    let mut hasher = SipHasher24::new_with_key(key);
    for end in [tuple.local, tuple.remote] {
        match end.ip() {
            std::net::IpAddr::V4(address) => hasher.write(&address.octets()),
            std::net::IpAddr::V6(address) => hasher.write(&address.octets()),
        }
        hasher.write(&end.port().to_be_bytes());
    }
    let clock = now.as_micros() / 4;
    (hasher.finish() as u32).wrapping_add(clock as u32)
}

/// The seed that makes a new interface draw `isn` for its first connection.
pub fn seed_for(isn: u32) -> u64 {
    let mut salt = 0u64;
    loop {
        let second = u64::from(isn) << LOW_BITS | salt & ((1 << LOW_BITS) - 1);
        let first = step_back(second);
        let ident = output(first);
        if output(second) == isn && (ident ^ ident >> 16) as u16 != 0 {
            return step_back(first);
        }
        salt = salt.wrapping_add(SALT_STEP);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn tuple(remote: &str, local: &str) -> Tuple {
        let end = |text: &str| text.parse().expect("an address");
        Tuple { remote: end(remote), local: end(local) }
    }

    #[test]
    fn the_generator_runs_backwards() {
        for state in [0, 1, u64::MAX, 0x0123_4567_89ab_cdef] {
            let next = state.wrapping_mul(MULTIPLIER).wrapping_add(INCREMENT);
            assert_eq!(step_back(next), state);
        }
    }

    #[test]
    fn numbers_grow_by_one_every_four_microseconds() {
        let tuple = tuple("10.0.0.2:40000", "10.0.0.1:80");
        let start = Instant::from_millis(5);
        let number = |after| choose(&[3; 16], &tuple, start + Duration::from_micros(after));
        assert_eq!(number(3), number(0));
        assert_eq!(number(4).wrapping_sub(number(0)), 1);
        assert_eq!(number(4_000_000).wrapping_sub(number(0)), 1_000_000);
    }

    #[test]
    fn every_part_of_the_four_tuple_counts() {
        let number = |tuple| choose(&[3; 16], &tuple, Instant::ZERO);
        let base = number(tuple("10.0.0.2:40000", "10.0.0.1:80"));
        for other in [
            tuple("10.0.0.3:40000", "10.0.0.1:80"),
            tuple("10.0.0.2:40001", "10.0.0.1:80"),
            tuple("10.0.0.2:40000", "10.0.0.4:80"),
            tuple("10.0.0.2:40000", "10.0.0.1:81"),
            tuple("10.0.0.1:80", "10.0.0.2:40000"),
            tuple("[fd00::2]:40000", "[fd00::1]:80"),
        ] {
            assert_ne!(number(other), base, "{other:?}");
        }
    }
}
