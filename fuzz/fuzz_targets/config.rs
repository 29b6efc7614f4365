//! Any bytes at all, as a configuration file.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| locum::fuzzing::config(input));
