//! Any bytes at all as the other end of a replication session, before the handshake and after it.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| locum_replica::fuzzing::replica(input));
