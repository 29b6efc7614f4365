//! Any bytes at all, as a frame before and behind the gate.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| locum_gate::fuzzing::gate(input));
