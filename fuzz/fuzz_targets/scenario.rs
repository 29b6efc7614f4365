//! Any bytes at all as a scenario, which is run if it is one.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| locum_scenario::fuzzing::scenario(input));
