//! Any bytes at all, received as a beat.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| locum_wire::fuzzing::beat(input));
